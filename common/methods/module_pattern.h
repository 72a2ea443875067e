#pragma once
/// Regular expressions over module paths, as PEFT takes them in target_modules, exclude_modules and
/// rank_pattern. They come from files that nobody vouches for, so a match takes time in proportion
/// to pattern times text, whatever the pattern (std::regex backtracks and recurses without bound).

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::methods {

/// Immutable. Source: Python's `re` syntax; matching: Thompson, CACM 11(6), 1968.
class ModulePattern {
 public:
  /// Reads literals, `.`, classes, groups (plain, `(?:`, named), `|`, `* + ? {m,n}` also lazy, `^`,
  /// `$`, `\b` and the classes `\d \w \s`.
  /// Errors: InvalidArgument if it is malformed, longer than 4096 bytes or too large when its
  /// counted repetitions are written out; Unimplemented for look-around, back-references and
  /// inline flags, which it names. `what` begins the sentence.
  static StatusOr<ModulePattern> Parse(std::string_view pattern, const std::string& what);

  /// True if all of `text` matches: Python's re.fullmatch.
  bool Matches(std::string_view text) const;

  /// Steps of its program, for limits over several: a match takes at most size() for each byte.
  size_t size() const { return program_.size(); }

 private:
  friend class PatternParser;
  enum class Op : uint8_t { kByte, kSplit, kJump, kBegin, kEnd, kBoundary, kNotBoundary, kMatch };
  struct Instruction {
    Op op = Op::kMatch;
    std::bitset<256> bytes = {};  ///< kByte: those that it takes.
    size_t next = 0, other = 0;   ///< Where kSplit (both) and kJump go on; all others at the next.
  };
  void Follow(size_t at, size_t position, std::string_view text, std::vector<size_t>& states,
              std::vector<bool>& seen) const;

  std::vector<Instruction> program_;
};

}  // namespace graft::methods
