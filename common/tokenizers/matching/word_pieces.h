#pragma once
/// Cuts a word into the longest pieces of a vocabulary, from left to right, in time that is linear
/// in the word: what each failed search for a longer piece has already settled is kept as a link.
/// Source: Song, Salcianu, Song, Dopson and Zhou, "Fast WordPiece Tokenization", 2021.

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "common/tokenizers/matching/byte_trie.h"

namespace graft::tokenizers {

/// Thread safety: const after creation.
class WordPieces {
 public:
  using Piece = std::pair<std::string_view, int32_t>;  ///< Text and id.

  /// `first` begin a word, `rest` continue one, without the prefix that marks them. Empty pieces
  /// are left out.
  /// Requires: together they have at most ByteTrie::kMaxBytes bytes.
  WordPieces(const std::vector<Piece>& first, const std::vector<Piece>& rest);

  /// Appends the ids of the word's pieces; false, and nothing appended, if pieces don't cover it.
  /// `steps`, if given, grows by the links that were followed: at most the word's bytes plus twice
  /// its pieces.
  bool Cut(std::string_view word, std::vector<int32_t>& ids, size_t* steps = nullptr) const;

 private:
  /// Lists of ids that share their parts: `left`, then `right`; or, if `left` is kId, one id.
  struct List {
    int32_t left = 0, right = 0;
  };
  static constexpr int32_t kEmpty = -1, kId = -2;

  void Link(int32_t node);
  int32_t Joined(int32_t left, int32_t right);
  void Append(int32_t list, std::vector<int32_t>& ids) const;

  ByteTrie trie_;
  int32_t first_root_, rest_root_;
  std::vector<int32_t> id_;      ///< Per node: the piece that it is, -1 if it is none.
  std::vector<int32_t> fail_;    ///< Per node: where to go on once no longer piece is possible.
  std::vector<int32_t> pieces_;  ///< Per node: the list of what is settled by then.
  std::vector<List> lists_;
};

}  // namespace graft::tokenizers
