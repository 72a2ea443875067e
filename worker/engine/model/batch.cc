#include "worker/engine/model/batch.h"

#include <algorithm>

namespace graft::worker::engine {

PackedBatch Pack(const std::vector<Sequence>& sequences, const std::vector<const Adapter*>& owners,
                 at::Device device) {
  PackedBatch batch;
  batch.offsets.reserve(sequences.size() + 1);
  batch.offsets.push_back(0);
  for (const Sequence& sequence : sequences) {
    batch.offsets.push_back(batch.offsets.back() + sequence.length);
    batch.max_length = std::max(batch.max_length, sequence.length);
    batch.examples.push_back(sequence.example);
  }
  const int64_t rows = batch.num_rows();
  // One host buffer for the four index arrays, so that a GPU needs one copy.
  const auto num_sequences = static_cast<int64_t>(sequences.size());
  at::Tensor host = at::empty({3 * rows + num_sequences}, at::kLong);
  auto* ids = host.mutable_data_ptr<int64_t>();
  int64_t* types = ids + rows;
  int64_t* positions = types + rows;
  int64_t* first = positions + rows;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const Sequence& sequence = sequences[s];
    const int64_t begin = batch.offsets[s];
    first[s] = begin;
    for (int64_t i = 0; i < sequence.length; ++i) {
      ids[begin + i] = sequence.ids[i];
      types[begin + i] = sequence.type_ids != nullptr ? sequence.type_ids[i] : 0;
      positions[begin + i] = i;
    }
    const Adapter* owner = owners[s];
    const auto index = static_cast<int64_t>(s);
    if (batch.segments.empty() || batch.segments.back().adapter != owner) {
      batch.segments.push_back({owner, begin, begin, index, index});
    }
    batch.segments.back().row_end = batch.offsets[s + 1];
    batch.segments.back().sequence_end = index + 1;
  }
  const at::Tensor all = host.to(device);
  batch.token_ids_T = all.narrow(0, 0, rows);
  batch.type_ids_T = all.narrow(0, rows, rows);
  batch.position_ids_T = all.narrow(0, 2 * rows, rows);
  batch.first_rows_S = all.narrow(0, 3 * rows, num_sequences);
  if (!device.is_cpu()) {
    at::Tensor offsets = at::empty({num_sequences + 1}, at::kInt);
    std::copy(batch.offsets.begin(), batch.offsets.end(), offsets.mutable_data_ptr<int32_t>());
    batch.offsets_device = offsets.to(device);
  }
  return batch;
}

}  // namespace graft::worker::engine
