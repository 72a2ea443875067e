#include "common/templates/syntax/lexer.h"

#include <utility>

#include "common/base/utf8.h"
#include "common/templates/syntax/literals.h"
#include "common/templates/syntax/source.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Token::Kind;

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

size_t SpaceBytes(std::string_view text) { return text.size() - Strip(text, Side::kLeft).size(); }

/// A tag's first characters: "{%", "{{" or "{#", and a sign for the white space in front.
struct Opening {
  size_t at = std::string_view::npos;
  char what = '\0';  ///< '%', '{' or '#'.
  char sign = '\0';  ///< '-', '+' or none.
  size_t end = 0;
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) {
      const Opening tag = NextOpening();
      AddText(tag);
      if (tag.at == std::string_view::npos) break;
      at_ = tag.end;
      if (tag.what == '#') {
        GRAFT_RETURN_IF_ERROR(SkipComment(tag));
      } else if (const size_t end = RawBegin(tag); end != 0) {
        at_ = end;
        line_begins_ = source_[at_ - 1] == '\n';
        GRAFT_RETURN_IF_ERROR(AddRaw(tag));
      } else {
        Add(tag.what == '%' ? Kind::kStatementBegin : Kind::kPrintBegin, tag.at);
        GRAFT_RETURN_IF_ERROR(AddTag(tag));
      }
    }
    Add(Kind::kEnd, source_.size());
    return std::move(tokens_);
  }

 private:
  bool At(std::string_view word) const { return source_.substr(at_).starts_with(word); }
  Status Fail(size_t at, const std::string& what) const { return SyntaxFailure(source_, at, what); }
  Token& Add(Kind kind, size_t at, std::string_view text = {}) {
    tokens_.push_back({kind, at, std::string(text), 0, 0});
    return tokens_.back();
  }

  Opening NextOpening() const {
    Opening tag;
    for (size_t at = source_.find('{', at_); at != std::string_view::npos;
         at = source_.find('{', at + 1)) {
      const char what = at + 1 < source_.size() ? source_[at + 1] : '\0';
      if (what != '%' && what != '{' && what != '#') continue;
      tag = {at, what, '\0', at + 2};
      if (tag.end < source_.size() && (source_[tag.end] == '-' || source_[tag.end] == '+'))
        tag.sign = source_[tag.end++];
      break;
    }
    return tag;
  }

  /// The text up to a tag, without the white space that the tag takes away.
  void AddText(const Opening& tag) {
    const size_t end = std::min(tag.at, source_.size());
    AddTextBetween(at_, end, tag);
  }
  void AddTextBetween(size_t begin, size_t end, const Opening& tag) {
    std::string_view text = source_.substr(begin, end - begin);
    if (tag.sign == '-') {
      text = Strip(text, Side::kRight);
    } else if (tag.sign != '+' && tag.what != '{' && tag.what != '\0') {
      const size_t line = text.rfind('\n') + 1;  // 0 if there is none.
      const bool whole_line = line > 0 || line_begins_;
      if (whole_line && Strip(text.substr(line), Side::kBoth).empty()) text = text.substr(0, line);
    }
    if (!text.empty()) Add(Kind::kText, begin, text);
  }

  /// Moves behind a tag's end, "-%}" with all white space behind it, "%}" with one line end.
  void PassEnd(std::string_view end, bool trims_line) {
    if (At("-")) {
      at_ += 1 + end.size();
      at_ += SpaceBytes(source_.substr(at_));
    } else {
      const bool keeps = At("+");
      at_ += end.size() + (keeps ? 1 : 0);
      if (!keeps && trims_line && At("\n")) ++at_;
    }
    line_begins_ = source_[at_ - 1] == '\n';
  }

  Status SkipComment(const Opening& tag) {
    const size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) return Fail(tag.at, "this comment has no end");
    // "{#-}" isn't the end of its own beginning, but "-" or "+" may stand right before one.
    at_ = end > at_ && (source_[end - 1] == '-' || source_[end - 1] == '+') ? end - 1 : end;
    PassEnd("#}", true);
    return OkStatus();
  }

  /// Where {% raw %} ends if `tag` begins one, else 0.
  size_t RawBegin(const Opening& tag) const {
    if (tag.what != '%') return 0;
    size_t at = tag.end + SpaceBytes(source_.substr(tag.end));
    if (!source_.substr(at).starts_with("raw")) return 0;
    at += 3;
    at += SpaceBytes(source_.substr(at));
    if (source_.substr(at).starts_with("%}")) return at + 2;
    if (!source_.substr(at).starts_with("-%}")) return 0;
    return at + 3 + SpaceBytes(source_.substr(at + 3));
  }

  Status AddRaw(const Opening& begin) {
    for (size_t at = source_.find("{%", at_); at != std::string_view::npos;
         at = source_.find("{%", at + 1)) {
      Opening tag{at, '%', '\0', at + 2};
      if (tag.end < source_.size() && (source_[tag.end] == '-' || source_[tag.end] == '+'))
        tag.sign = source_[tag.end++];
      size_t end = tag.end + SpaceBytes(source_.substr(tag.end));
      if (!source_.substr(end).starts_with("endraw")) continue;
      end += 6;
      end += SpaceBytes(source_.substr(end));
      const std::string_view rest = source_.substr(end);
      if (!rest.starts_with("%}") && !rest.starts_with("-%}") && !rest.starts_with("+%}")) continue;
      AddTextBetween(at_, at, tag);
      at_ = end;
      PassEnd("%}", true);
      return OkStatus();
    }
    return Fail(begin.at, "{% raw %} has no {% endraw %}");
  }

  /// True, and the end is taken, if the tag ends here.
  bool TakeEnd(const Opening& tag) {
    const bool is_statement = tag.what == '%';
    const std::string_view end = is_statement ? "%}" : "}}";
    const std::string_view rest = source_.substr(at_);
    const bool signed_end = !rest.empty() && (rest[0] == '-' || (is_statement && rest[0] == '+'));
    if (!rest.substr(signed_end ? 1 : 0).starts_with(end)) return false;
    Add(is_statement ? Kind::kStatementEnd : Kind::kPrintEnd, at_);
    PassEnd(end, is_statement);
    return true;
  }

  Status AddTag(const Opening& tag) {
    std::string closers;  // Of the brackets that are open, the innermost last.
    while (at_ < source_.size()) {
      if (closers.empty() && TakeEnd(tag)) return OkStatus();
      if (const size_t space = SpaceBytes(source_.substr(at_)); space > 0) {
        at_ += space;
        continue;
      }
      GRAFT_RETURN_IF_ERROR(AddToken(closers));
    }
    return Fail(tag.at, tag.what == '%' ? "this {% has no %}" : "this {{ has no }}");
  }

  Status AddToken(std::string& closers) {
    const size_t begin = at_;
    const std::string_view rest = source_.substr(at_);
    bool is_float = false;
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    if (const size_t length = NumberBytes(rest, !after_dot, &is_float); length > 0) {
      return AddNumber(rest.substr(0, length), is_float);
    }
    if (IsNameStart(rest[0])) {
      while (at_ < source_.size() && IsNamePart(source_[at_])) ++at_;
      if (at_ < source_.size() && (source_[at_] & 0x80) != 0)
        return Fail(begin, "names are of ASCII's letters here");
      Add(Kind::kName, begin, source_.substr(begin, at_ - begin));
      return OkStatus();
    }
    if (rest[0] == '"' || rest[0] == '\'') return AddString(rest[0]);
    return AddOperator(closers);
  }

  Status AddNumber(std::string_view digits, bool is_float) {
    Token& token = Add(is_float ? Kind::kFloat : Kind::kInteger, at_, digits);
    if (is_float) {
      token.real = FloatOf(digits);
    } else {
      const auto number = IntegerOf(digits);
      if (!number.ok()) return Fail(at_, number.status().message());
      token.integer = *number;
    }
    at_ += digits.size();
    return OkStatus();
  }

  Status AddString(char quote) {
    const size_t begin = at_++;
    size_t end = at_;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return Fail(begin, "this string has no end");
    const auto text = Unescaped(source_.substr(at_, end - at_));
    if (!text.ok()) return Fail(begin, text.status().message());
    Add(Kind::kString, begin, *text);
    at_ = end + 1;
    return OkStatus();
  }

  Status AddOperator(std::string& closers) {
    constexpr std::string_view kLong[] = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kShort = "+-/*%~[](){}><=.:|,;";
    std::string_view sign = source_.substr(at_, 1);
    for (const std::string_view known : kLong) {
      if (At(known)) sign = known;
    }
    if (sign.size() == 1 && kShort.find(sign) == std::string_view::npos) {
      const size_t length = CharacterBytes(source_.substr(at_));
      return Fail(at_, "there is no operator " + Quoted(source_.substr(at_, length)));
    }
    const size_t opener =
        sign.size() == 1 ? std::string_view("([{").find(sign) : std::string_view::npos;
    if (opener != std::string_view::npos) {
      closers += ")]}"[opener];
    } else if (sign == ")" || sign == "]" || sign == "}") {
      if (closers.empty() || closers.back() != sign[0])
        return Fail(at_, "nothing that this " + Quoted(sign) + " could close is open");
      closers.pop_back();
    }
    Add(Kind::kOperator, at_, sign);
    at_ += sign.size();
    return OkStatus();
  }

  const std::string_view source_;
  size_t at_ = 0;
  /// The last thing read ended with a line end, or nothing has been read.
  bool line_begins_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

StatusOr<std::vector<Token>> Tokenize(std::string_view source) { return Lexer(source).Run(); }

}  // namespace graft::templates
