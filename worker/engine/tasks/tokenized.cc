#include "worker/engine/tasks/tokenized.h"

namespace graft::worker::engine {

void TokenizedSplit::Append(const tokenizers::Encoding& encoding,
                            std::span<const int32_t> its_targets,
                            std::span<const int32_t> its_positions) {
  ids.insert(ids.end(), encoding.ids.begin(), encoding.ids.end());
  type_ids.insert(type_ids.end(), encoding.type_ids.begin(), encoding.type_ids.end());
  offsets.push_back(static_cast<int64_t>(ids.size()));
  targets.insert(targets.end(), its_targets.begin(), its_targets.end());
  positions.insert(positions.end(), its_positions.begin(), its_positions.end());
  target_offsets.push_back(static_cast<int64_t>(targets.size()));
  if (encoding.truncated) ++num_truncated;
}

}  // namespace graft::worker::engine
