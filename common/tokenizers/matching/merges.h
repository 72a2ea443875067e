#pragma once
/// The merges of byte pair encoding: joins two neighbouring tokens of a word as long as any two
/// can be joined, those of the lowest rank first, of equal ones the leftmost.
/// Source: huggingface/tokenizers, models/bpe/word.rs.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace graft::tokenizers {

/// Thread safety: const after the last Add.
class Merges {
 public:
  /// `num_pairs` are about to be added.
  explicit Merges(size_t num_pairs = 0);

  /// `left` and `right` become `joined`. Of a pair that is added twice the last counts.
  /// Requires: ids and ranks aren't negative; pairs of different ranks.
  void Add(int32_t left, int32_t right, int32_t rank, int32_t joined);

  /// Joins what can be joined of ids[from], ids[from + 1] and so on, in place. Takes n log n steps
  /// for n ids. `steps`, if given, grows by the pairs that were looked up: less than four an id.
  void Apply(std::vector<int32_t>& ids, size_t from, size_t* steps = nullptr) const;

 private:
  static constexpr uint32_t kNever = 0xFFFFFFFF;
  struct Rule {
    uint64_t pair = ~uint64_t{0};  ///< The ids, left in the upper half.
    uint32_t rank = kNever;
    int32_t joined = 0;
  };
  class Word;
  /// Where the pair is, or goes.
  size_t Place(uint64_t pair) const;
  /// Its rank is kNever if the two can't be joined.
  const Rule& Find(int32_t left, int32_t right) const;
  void Grow();
  size_t ApplyShort(int32_t* ids, size_t count, size_t* steps) const;

  std::vector<Rule> rules_;  ///< Open addressing; a power of two, at most half full.
  size_t num_pairs_ = 0;
};

}  // namespace graft::tokenizers
