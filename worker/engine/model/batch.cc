#include "worker/engine/model/batch.h"

#include <algorithm>

#include "worker/engine/device/host_values.h"

namespace graft::worker::engine {
namespace {

/// Rows and sequences without what stands on the device.
struct HostRows {
  RowSet tokens, wanted;
  bool wants_all = true;
};

HostRows CountRows(const std::vector<Sequence>& sequences) {
  HostRows rows;
  bool has_past = false;
  for (const Sequence& sequence : sequences) {
    rows.wants_all &= sequence.wanted.empty();
    has_past |= sequence.past > 0;
  }
  for (const Sequence& sequence : sequences) {
    rows.tokens.offsets.push_back(rows.tokens.size() + sequence.length);
    rows.tokens.longest = std::max(rows.tokens.longest, sequence.length);
    for (int64_t i = 0; has_past && i < sequence.length; ++i)
      rows.tokens.positions.push_back(sequence.past + i);
    if (rows.wants_all) continue;
    const bool all = sequence.wanted.empty();
    const int64_t count = all ? sequence.length : static_cast<int64_t>(sequence.wanted.size());
    for (int64_t i = 0; i < count; ++i)
      rows.wanted.positions.push_back(sequence.past +
                                      (all ? i : sequence.wanted[static_cast<size_t>(i)]));
    rows.wanted.offsets.push_back(rows.wanted.size() + count);
    rows.wanted.longest = std::max(rows.wanted.longest, count);
  }
  return rows;
}

/// Where the sequences' keys lie: all of each one's, and those of its new tokens.
CachedKeys FindKeys(const std::vector<Sequence>& sequences, int64_t block_tokens,
                    at::Device device) {
  CachedKeys cached;
  std::vector<int64_t> rows, own;
  for (const Sequence& sequence : sequences) {
    const int64_t keys = sequence.past + sequence.length;
    for (int64_t i = 0; i < keys; ++i) {
      const int64_t block = sequence.blocks[static_cast<size_t>(i / block_tokens)];
      rows.push_back(block * block_tokens + i % block_tokens);
      if (i >= sequence.past) own.push_back(rows.back());
    }
    cached.keys.offsets.push_back(cached.keys.size() + keys);
    cached.keys.longest = std::max(cached.keys.longest, keys);
  }
  cached.rows_K = ToDevice<int64_t>(rows, device);
  cached.own_rows_T = ToDevice<int64_t>(own, device);
  return cached;
}

}  // namespace

RowContext PackedBatch::Context(const Segment& segment, const RowSet& rows) const {
  return {.training = segment.owner.training,
          .seed = segment.owner.seed,
          .step = segment.owner.step,
          .rows = &rows,
          .examples = &examples,
          .sequence_begin = segment.sequence_begin,
          .sequence_end = segment.sequence_end};
}

at::Tensor PackedBatch::RowsOf(const Segment& segment, const RowSet& rows, const at::Tensor& x) {
  const int64_t begin = rows.offsets[static_cast<size_t>(segment.sequence_begin)];
  const int64_t count = rows.offsets[static_cast<size_t>(segment.sequence_end)] - begin;
  return count == x.size(0) ? x : x.narrow(0, begin, count);
}

PackedBatch Pack(const std::vector<Sequence>& sequences, const std::vector<Owner>& owners,
                 at::Device device, KvCache* cache) {
  PackedBatch batch;
  HostRows counted = CountRows(sequences);
  batch.tokens = std::move(counted.tokens);
  batch.wanted = counted.wants_all ? batch.tokens : std::move(counted.wanted);
  const int64_t rows = batch.num_rows();
  const int64_t wanted = counted.wants_all ? 0 : batch.wanted.size();
  // One host buffer for the four index arrays, so that a GPU needs one copy.
  at::Tensor host = at::empty({3 * rows + wanted}, at::kLong);
  auto* ids = host.mutable_data_ptr<int64_t>();
  int64_t* types = ids + rows;
  int64_t* positions = types + rows;
  int64_t* index = positions + rows;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const Sequence& sequence = sequences[s];
    const int64_t begin = batch.tokens.offsets[s];
    for (int64_t i = 0; i < sequence.length; ++i) {
      ids[begin + i] = sequence.ids[i];
      types[begin + i] = sequence.type_ids != nullptr ? sequence.type_ids[i] : 0;
      positions[begin + i] = sequence.past + i;
    }
    const auto number = static_cast<int64_t>(s);
    for (int64_t i = 0; wanted > 0 && i < batch.wanted.length(number); ++i)
      *index++ = begin + batch.wanted.position(number, i) - sequence.past;
    batch.examples.push_back(sequence.example);
    if (batch.segments.empty() || !(batch.segments.back().owner == owners[s]))
      batch.segments.push_back({owners[s], number, number});
    batch.segments.back().sequence_end = number + 1;
  }
  const at::Tensor all = host.to(device);
  batch.token_ids_T = all.narrow(0, 0, rows);
  batch.type_ids_T = all.narrow(0, rows, rows);
  batch.position_ids_T = all.narrow(0, 2 * rows, rows);
  if (!counted.wants_all) batch.wanted.index_R = all.narrow(0, 3 * rows, wanted);
  if (cache != nullptr) batch.cached = {cache, FindKeys(sequences, cache->block_tokens(), device)};
  if (!device.is_cpu()) {
    if (batch.cached)
      batch.cached->of.keys.offsets_device =
          ToDevice<int32_t>(batch.cached->of.keys.offsets, device);
    batch.tokens.offsets_device = ToDevice<int32_t>(batch.tokens.offsets, device);
    batch.wanted.offsets_device = counted.wants_all
                                      ? batch.tokens.offsets_device
                                      : ToDevice<int32_t>(batch.wanted.offsets, device);
  }
  return batch;
}

}  // namespace graft::worker::engine
