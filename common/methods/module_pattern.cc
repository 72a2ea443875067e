#include "common/methods/module_pattern.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/utf8.h"

namespace graft::methods {
namespace {

constexpr size_t kMaxBytes = 4096;
constexpr size_t kMaxInstructions = 10'000;
constexpr int kMaxDepth = 50;
constexpr size_t kMaxRepeats = 1000;
constexpr size_t kNoLimit = SIZE_MAX;

using Bytes = std::bitset<256>;

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Bytes Where(bool (*holds)(char)) {
  Bytes bytes;
  for (int c = 0; c < 256; ++c) bytes[c] = holds(static_cast<char>(c));
  return bytes;
}

/// What \d, \w, \s and their opposites take.
std::optional<Bytes> ClassEscape(char c) {
  switch (c) {
    case 'd':
      return Where([](char b) { return b >= '0' && b <= '9'; });
    case 'D':
      return ~*ClassEscape('d');
    case 'w':
      return Where(IsWord);
    case 'W':
      return ~*ClassEscape('w');
    case 's':
      return Where([](char b) { return b == ' ' || (b >= '\t' && b <= '\r'); });
    case 'S':
      return ~*ClassEscape('s');
    default:
      return std::nullopt;
  }
}

}  // namespace

/// Recursive descent over the pattern, emitting code as it goes; the first fault ends it.
class PatternParser {
 public:
  PatternParser(std::string_view pattern, std::string what)
      : pattern_(pattern), what_(std::move(what)) {}

  StatusOr<ModulePattern> Parse() {
    if (pattern_.size() > kMaxBytes) Fail("is longer than 4096 bytes");
    Code code = Alternatives(0);
    if (status_.ok() && at_ < pattern_.size()) Fail("has a ) that closes nothing");
    GRAFT_RETURN_IF_ERROR(status_);
    code.push_back({.op = Op::kMatch});
    ModulePattern made;
    made.program_ = std::move(code);
    return made;
  }

 private:
  using Op = ModulePattern::Op;
  /// Jumps are absolute within a piece; Append moves them.
  using Code = std::vector<ModulePattern::Instruction>;

  void Fail(const std::string& fault) {
    if (status_.ok()) status_ = InvalidArgumentError(Sentence(fault));
  }
  void Unbuilt(const std::string& construct) {
    if (status_.ok()) {
      status_ = UnimplementedError(Sentence("uses " + construct +
                                            ", which graft doesn't read; write it without, or save "
                                            "the adapter with a list of module names"));
    }
  }
  std::string Sentence(const std::string& fault) const {
    return what_ + ": the regular expression " + Quoted(pattern_, 80) + " " + fault;
  }
  bool More() const { return status_.ok() && at_ < pattern_.size(); }
  bool Take(std::string_view text) {
    if (!status_.ok() || !pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  void Append(Code& code, const Code& piece) {
    const size_t base = code.size();
    if (base + piece.size() > kMaxInstructions) return Fail("is too large");
    for (ModulePattern::Instruction instruction : piece) {
      instruction.next += base;
      instruction.other += base;
      code.push_back(instruction);
    }
  }

  Code Alternatives(int depth) {
    if (depth > kMaxDepth) Fail("nests its groups too deep");
    std::vector<Code> choices = {Sequence(depth)};
    size_t end = choices.back().size();
    while (Take("|")) {
      choices.push_back(Sequence(depth));
      end += choices.back().size() + 2;
    }
    if (choices.size() == 1) return std::move(choices.front());
    Code code;
    for (size_t i = 0; i + 1 < choices.size() && status_.ok(); ++i) {
      const size_t begin = code.size();
      code.push_back({.op = Op::kSplit, .next = begin + 1, .other = begin + choices[i].size() + 2});
      Append(code, choices[i]);
      code.push_back({.op = Op::kJump, .next = end});
    }
    Append(code, choices.back());
    return code;
  }

  Code Sequence(int depth) {
    Code code;
    while (More() && pattern_[at_] != '|' && pattern_[at_] != ')') {
      const Code piece = Repeated(Atom(depth));
      if (status_.ok()) Append(code, piece);
    }
    return code;
  }

  Code Repeated(Code piece) {
    size_t low = 1, high = 1;
    if (Take("*")) {
      low = 0, high = kNoLimit;
    } else if (Take("+")) {
      high = kNoLimit;
    } else if (Take("?")) {
      low = 0;
    } else if (!TakeCounts(low, high)) {
      return piece;
    }
    if (Take("+")) Unbuilt("a possessive repetition");
    Take("?");  // Lazy or not, the same texts match.
    if (More() && (pattern_[at_] == '*' || pattern_[at_] == '+')) Fail("repeats a repetition");
    Code code;
    for (size_t i = 0; i < low && status_.ok(); ++i) Append(code, piece);
    if (high == kNoLimit) {
      Code loop = {{.op = Op::kSplit, .next = 1, .other = piece.size() + 2}};
      Append(loop, piece);
      loop.push_back({.op = Op::kJump, .next = 0});
      Append(code, loop);
    }
    for (size_t i = low; high != kNoLimit && i < high && status_.ok(); ++i) {
      Code once = {{.op = Op::kSplit, .next = 1, .other = piece.size() + 1}};
      Append(once, piece);
      Append(code, once);
    }
    return code;
  }

  /// {m}, {m,}, {,n} or {m,n}; other braces are literal, as in Python.
  bool TakeCounts(size_t& low, size_t& high) {
    if (!More() || pattern_[at_] != '{') return false;
    const size_t close = pattern_.find('}', at_);
    if (close == std::string_view::npos) return false;
    const std::string_view inner = pattern_.substr(at_ + 1, close - at_ - 1);
    const size_t comma = inner.find(',');
    const auto number = [](std::string_view text, size_t empty) -> std::optional<size_t> {
      if (text.empty()) return empty;
      size_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
      return value;
    };
    if (inner.empty()) return false;
    const auto first = number(inner.substr(0, comma), 0);
    const auto last =
        comma == std::string_view::npos ? first : number(inner.substr(comma + 1), kNoLimit);
    if (!first || !last) return false;
    at_ = close + 1;
    low = *first, high = *last;
    if (low > high) Fail("has a repetition whose least count is above its most");
    if (low > kMaxRepeats || (high != kNoLimit && high > kMaxRepeats))
      Fail("repeats more than 1000 times");
    return true;
  }

  static Code Byte(const Bytes& bytes) { return {{.op = Op::kByte, .bytes = bytes}}; }
  static Code Byte(char c) {
    Bytes bytes;
    bytes.set(static_cast<uint8_t>(c));
    return Byte(bytes);
  }

  Code Atom(int depth) {
    const char c = pattern_[at_++];
    switch (c) {
      case '(':
        return Group(depth);
      case '[':
        return Byte(Class());
      case '.':
        return Byte(Where([](char b) { return b != '\n'; }));
      case '^':
        return {{.op = Op::kBegin}};
      case '$':
        return {{.op = Op::kEnd}};
      case '\\':
        return Escape();
      case '*':
      case '+':
      case '?':
        Fail("repeats nothing");
        return {};
      default:
        return Byte(c);
    }
  }

  Code Group(int depth) {
    if (Take("?")) {
      if (Take("=") || Take("!") || Take("<=") || Take("<!")) {
        Unbuilt("look-around");
      } else if (Take("P<")) {
        const size_t end = pattern_.find('>', at_);
        if (end == std::string_view::npos)
          Fail("has a group name without an end");
        else
          at_ = end + 1;
      } else if (Take("P=") || Take("(")) {
        Unbuilt("a reference to a group");
      } else if (!Take(":")) {
        Unbuilt("inline flags or an atomic group");
      }
    }
    if (!status_.ok()) return {};
    Code code = Alternatives(depth + 1);
    if (!Take(")")) Fail("has a group without an end");
    return code;
  }

  Code Escape() {
    if (!More()) {
      Fail("ends with a backslash");
      return {};
    }
    const char c = pattern_[at_++];
    if (const auto bytes = ClassEscape(c)) return Byte(*bytes);
    if (c == 'b') return {{.op = Op::kBoundary}};
    if (c == 'B') return {{.op = Op::kNotBoundary}};
    if (c == 'A') return {{.op = Op::kBegin}};
    if (c == 'Z') return {{.op = Op::kEnd}};
    if (c >= '0' && c <= '9')
      Unbuilt("a reference to a group");
    else if (IsWord(c))
      Unbuilt(std::string("the escape \\") + c);
    return Byte(c);
  }

  Bytes Class() {
    Bytes bytes;
    const bool negated = Take("^");
    for (bool first = true; More() && (first || pattern_[at_] != ']'); first = false) {
      char low = pattern_[at_++];
      if (low == '\\' && More()) {
        low = pattern_[at_++];
        if (const auto escape = ClassEscape(low)) {
          bytes |= *escape;
          continue;
        }
        if (IsWord(low)) Unbuilt(std::string("the escape \\") + low);
      }
      char high = low;
      if (at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        high = pattern_[at_ + 1];
        at_ += 2;
        if (high == '\\') Unbuilt("an escape as the end of a range");
      }
      if (static_cast<uint8_t>(low) > static_cast<uint8_t>(high))
        Fail("has a range that runs backwards");
      for (int b = static_cast<uint8_t>(low); b <= static_cast<uint8_t>(high); ++b) bytes.set(b);
    }
    if (!Take("]")) Fail("has a class without an end");
    return negated ? ~bytes : bytes;
  }

  const std::string_view pattern_;
  const std::string what_;
  size_t at_ = 0;
  Status status_;
};

StatusOr<ModulePattern> ModulePattern::Parse(std::string_view pattern, const std::string& what) {
  return PatternParser(pattern, what).Parse();
}

/// Adds the states that are reached from `at` without taking a byte.
void ModulePattern::Follow(size_t at, size_t position, std::string_view text,
                           std::vector<size_t>& states, std::vector<bool>& seen) const {
  std::vector<size_t> waiting = {at};
  while (!waiting.empty()) {
    const size_t state = waiting.back();
    waiting.pop_back();
    if (seen[state]) continue;
    seen[state] = true;
    const Instruction& instruction = program_[state];
    const bool before = position > 0 && IsWord(text[position - 1]);
    const bool behind = position < text.size() && IsWord(text[position]);
    bool passes = false;
    switch (instruction.op) {
      case Op::kByte:
      case Op::kMatch:
        states.push_back(state);
        break;
      case Op::kJump:
        waiting.push_back(instruction.next);
        break;
      case Op::kSplit:
        waiting.push_back(instruction.next);
        waiting.push_back(instruction.other);
        break;
      case Op::kBegin:
        passes = position == 0;
        break;
      case Op::kEnd:
        passes = position == text.size();
        break;
      case Op::kBoundary:
        passes = before != behind;
        break;
      case Op::kNotBoundary:
        passes = before == behind;
        break;
    }
    if (passes) waiting.push_back(state + 1);
  }
}

bool ModulePattern::Matches(std::string_view text) const {
  std::vector<size_t> states;
  std::vector<bool> seen(program_.size());
  Follow(0, 0, text, states, seen);
  for (size_t i = 0; i < text.size() && !states.empty(); ++i) {
    std::vector<size_t> next;
    std::fill(seen.begin(), seen.end(), false);
    for (const size_t state : states) {
      if (program_[state].op == Op::kByte && program_[state].bytes[static_cast<uint8_t>(text[i])])
        Follow(state + 1, i + 1, text, next, seen);
    }
    states = std::move(next);
  }
  for (const size_t state : states) {
    if (program_[state].op == Op::kMatch) return true;
  }
  return false;
}

}  // namespace graft::methods
