#include "worker/engine/model/row_owner.h"

namespace graft::worker::engine {

uint64_t RowContext::DropoutSeed(uint64_t site) const {
  return seed ^ (static_cast<uint64_t>(step) * 0x9E3779B97F4A7C15ULL + site);
}

std::vector<uint64_t> RowContext::DropoutStreams() const {
  std::vector<uint64_t> streams;
  for (int64_t s = sequence_begin; s < sequence_end; ++s) {
    for (int64_t i = 0; i < rows->length(s); ++i) {
      streams.push_back((*examples)[static_cast<size_t>(s)] << 20 |
                        static_cast<uint64_t>(rows->position(s, i)));
    }
  }
  return streams;
}

}  // namespace graft::worker::engine
