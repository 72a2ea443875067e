#include "worker/engine/model/needed_rows.h"

#include <algorithm>
#include <unordered_map>

#include "worker/engine/device/host_values.h"

namespace graft::worker::engine {
namespace {

/// Beginnings of one owner's sequences, as a tree of tokens.
class Beginnings {
 public:
  /// For each of the sequence's first tokens that an earlier one also begins with: the number of
  /// that sequence. `most`: of its first tokens.
  std::vector<size_t> Add(size_t number, const Sequence& sequence, int64_t most) {
    std::vector<size_t> shared;
    uint64_t node = 0;
    for (int64_t i = 0; i < most; ++i) {
      const uint64_t key = node << 32 | static_cast<uint32_t>(sequence.ids[i]);
      const auto [found, is_new] = nodes_.try_emplace(key, Node{nodes_.size() + 1, number});
      if (!is_new) shared.push_back(found->second.sequence);
      node = found->second.number;
    }
    return shared;
  }

 private:
  struct Node {
    uint64_t number;
    size_t sequence;  ///< Which has it first.
  };
  std::unordered_map<uint64_t, Node> nodes_;  ///< By the node in front, and the token.
};

/// Sequences without the rows that needn't be computed.
struct Needed {
  std::vector<Sequence> sequences;           ///< `past`: tokens whose rows are others'.
  std::vector<std::vector<int32_t>> wanted;  ///< What they borrow.
  std::vector<int64_t> rows;                 ///< [P]
  bool shares = false;
};

Needed FindNeeded(const std::vector<Sequence>& sequences, const std::vector<Owner>& owners) {
  Needed needed;
  needed.wanted.resize(sequences.size());
  std::vector<size_t> first_places;
  Beginnings beginnings;
  int64_t num_rows = 0;
  for (size_t s = 0; s < sequences.size(); ++s) {
    if (s > 0 && !(owners[s] == owners[s - 1])) beginnings = {};
    Sequence sequence = sequences[s];
    const bool wants_all = sequence.wanted.empty();
    if (!wants_all) sequence.length = sequence.wanted.back() + 1;
    const auto shared = beginnings.Add(s, sequence, wants_all ? 0 : sequence.wanted.front());
    const auto count = static_cast<int64_t>(shared.size());
    first_places.push_back(needed.rows.size());
    for (size_t i = 0; i < shared.size(); ++i)
      needed.rows.push_back(needed.rows[first_places[shared[i]] + i]);
    sequence.ids += count;
    if (sequence.type_ids != nullptr) sequence.type_ids += count;
    sequence.length -= count;
    sequence.past = count;
    for (const int32_t place : sequence.wanted)
      needed.wanted[s].push_back(place - static_cast<int32_t>(count));
    sequence.wanted = needed.wanted[s];
    for (int64_t i = 0; i < sequence.length; ++i) needed.rows.push_back(num_rows++);
    needed.sequences.push_back(sequence);
    needed.shares |= count > 0;
  }
  return needed;
}

/// The rows of `own` as places of the sequences whole.
RowSet AmongPlaces(const RowSet& own, const RowSet& places, at::Device device) {
  RowSet rows = own;
  std::vector<int64_t> index;
  for (int64_t s = 0; s < own.num_sequences(); ++s) {
    for (int64_t i = 0; i < own.length(s); ++i)
      index.push_back(places.offsets[static_cast<size_t>(s)] + own.position(s, i));
  }
  rows.index_R = ToDevice<int64_t>(index, device);
  return rows;
}

}  // namespace

PackedBatch PackNeeded(const std::vector<Sequence>& sequences, const std::vector<Owner>& owners,
                       at::Device device) {
  const Needed needed = FindNeeded(sequences, owners);
  PackedBatch batch = Pack(needed.sequences, owners, device);
  if (!needed.shares) return batch;
  SharedRows& shared = batch.shared.emplace();
  for (const Sequence& sequence : needed.sequences) {
    const int64_t length = sequence.past + sequence.length;
    shared.places.offsets.push_back(shared.places.size() + length);
    shared.places.longest = std::max(shared.places.longest, length);
  }
  if (!device.is_cpu())
    shared.places.offsets_device = ToDevice<int32_t>(shared.places.offsets, device);
  shared.rows_P = ToDevice<int64_t>(needed.rows, device);
  shared.tokens = AmongPlaces(batch.tokens, shared.places, device);
  shared.wanted = AmongPlaces(batch.wanted, shared.places, device);
  return batch;
}

}  // namespace graft::worker::engine
