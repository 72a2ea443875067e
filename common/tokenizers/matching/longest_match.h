#pragma once
/// Finds, for every place in a text, the longest of many patterns that begins there, in time that
/// is linear in the text however many patterns there are and however they overlap.
/// Source: Aho and Corasick, 1975, run over the text and the patterns from their ends, so that the
/// longest pattern that *ends* at a state is the longest that *begins* at a place of the text.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizers/matching/byte_trie.h"

namespace graft::tokenizers {

/// Thread safety: const after creation.
class LongestMatch {
 public:
  struct Match {
    size_t begin = 0, end = 0;
    size_t pattern = 0;  ///< Its place in the list.
  };

  /// Of two equal patterns the first counts; empty ones never match.
  /// Requires: together they have at most ByteTrie::kMaxBytes bytes.
  explicit LongestMatch(const std::vector<std::string>& patterns);

  /// Leftmost-longest matches that don't overlap, in order. `steps`, if given, is set to the number
  /// of states that were looked at: at most twice the text's bytes.
  std::vector<Match> Find(std::string_view text, size_t* steps = nullptr) const;

 private:
  ByteTrie trie_;
  int32_t root_;
  std::array<bool, 256> ends_ = {};  ///< Is there a pattern that ends in this byte?
  std::vector<int32_t> fail_;
  std::vector<int32_t> best_;   ///< Per state: the pattern, -1 if there is none.
  std::vector<size_t> length_;  ///< Per pattern.
};

}  // namespace graft::tokenizers
