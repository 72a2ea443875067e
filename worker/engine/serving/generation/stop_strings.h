#pragma once
/// Finds where a text that comes in pieces reaches one of several strings, and shows no byte that
/// may still turn out to begin one. Source: Aho and Corasick, 1975: the automaton's state is the
/// longest end of the text that begins a string, so its depth is what must be held back.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizers/matching/byte_trie.h"

namespace graft::worker::engine::generation {

/// The strings of a request. Thread safety: const after creation; its sequences share one.
class StopStrings {
 public:
  /// Requires: none is empty; they passed Validate's bounds (settings.h).
  explicit StopStrings(const std::vector<std::string>& strings);

  bool empty() const { return lengths_.empty(); }

 private:
  friend class StopStream;

  /// Grows `steps` by the states that were looked at.
  int32_t Next(int32_t state, unsigned char byte, int64_t& steps) const;
  void Link(int32_t node);

  tokenizers::ByteTrie trie_;
  int32_t root_;
  std::array<bool, 256> begins_ = {};  ///< Does a string begin with this byte?
  std::vector<int32_t> fail_, depth_;  ///< Per state.
  std::vector<int32_t> longest_;       ///< Per state: the longest string that ends there, or -1.
  std::vector<size_t> lengths_;        ///< Per string.
};

/// One sequence's text. What it shows is the text up to where the first string is complete, without
/// that string: of those that are complete at the same byte the longest counts. So it is the same
/// however the text is cut into pieces, and takes time linear in the text. Pieces of whole
/// characters give pieces of whole characters.
/// Thread safety: none. Borrows the strings.
class StopStream {
 public:
  explicit StopStream(const StopStrings& strings) : strings_(&strings), state_(strings.root_) {}

  /// Takes the next piece. Returns what can be shown now, all that is not held back; nothing once a
  /// string was found. Valid until the next call.
  std::string_view Add(std::string_view piece);
  /// The same for the last piece; nothing is held back any more.
  std::string_view Close(std::string_view piece = {});

  /// Which string was found: its place in the list.
  const std::optional<size_t>& found() const { return found_; }
  /// States that were looked at: at most twice the bytes.
  int64_t steps() const { return steps_; }

 private:
  std::string_view Show(size_t end);

  const StopStrings* strings_;
  int32_t state_;
  std::string text_;  ///< What is not shown yet, behind what is.
  size_t shown_ = 0;  ///< Bytes of text_ that were.
  std::optional<size_t> found_;
  int64_t steps_ = 0;
};

}  // namespace graft::worker::engine::generation
