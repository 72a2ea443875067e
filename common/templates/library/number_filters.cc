#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "common/base/utf8.h"
#include "common/templates/library/filters.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// `text` without white space around and underscores between digits; nothing if one stands
/// elsewhere. Errors: Failure if it isn't ASCII, whose digits Python would read too.
StatusOr<std::optional<std::string>> PlainNumber(std::string_view text) {
  text = Strip(text, Side::kBoth);
  if (!IsAscii(text)) return Failure("reads a number of other characters than ASCII's");
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
    } else if (i == 0 || i + 1 == text.size() || !std::isalnum(text[i - 1]) ||
               !std::isalnum(text[i + 1])) {
      return std::optional<std::string>();
    }
  }
  return std::optional<std::string>(plain);
}

/// int(text, base); nothing where Python raises ValueError.
StatusOr<std::optional<int64_t>> ParseWhole(std::string_view text, int64_t base) {
  if (base != 2 && base != 8 && base != 10 && base != 16)
    return Failure("reads numbers to base " + std::to_string(base) + ", which isn't built");
  GRAFT_ASSIGN_OR_RETURN(const auto plain, PlainNumber(text));
  if (!plain.has_value()) return std::optional<int64_t>();
  std::string_view digits = *plain;
  std::string number;
  if (digits.starts_with('-')) number = "-";
  if (digits.starts_with('-') || digits.starts_with('+')) digits.remove_prefix(1);
  const char mark = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '\0';
  if (mark != '\0' && digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == mark)
    digits.remove_prefix(2);
  if (digits.empty() || !std::isalnum(digits[0])) return std::optional<int64_t>();
  number += digits;
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), value, static_cast<int>(base));
  if (end != number.data() + number.size()) return std::optional<int64_t>();
  if (error != std::errc()) return Failure("a whole number doesn't fit in 64 bits");
  return std::optional<int64_t>(value);
}

/// float(text); nothing where Python raises ValueError.
StatusOr<std::optional<double>> ParseFloat(std::string_view text) {
  GRAFT_ASSIGN_OR_RETURN(const auto plain, PlainNumber(text));
  if (!plain.has_value() || plain->empty()) return std::optional<double>();
  std::string word = AsciiLower(*plain);
  const bool is_signed = word[0] == '-' || word[0] == '+';
  const std::string_view body = std::string_view(word).substr(is_signed ? 1 : 0);
  const bool is_name = body == "inf" || body == "infinity" || body == "nan";
  const bool is_number = !body.empty() && (IsDigit(body[0]) || body[0] == '.') &&
                         body.find_first_not_of("0123456789.e+-") == std::string_view::npos;
  if (!is_name && !is_number) return std::optional<double>();
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (end != word.c_str() + word.size()) return std::optional<double>();
  return std::optional<double>(value);
}

/// int(number), cut towards 0; nothing for what isn't finite.
StatusOr<std::optional<int64_t>> Truncated(double number) {
  if (!std::isfinite(number)) return std::optional<int64_t>();
  if (std::abs(number) >= 9.2e18) return Failure("a whole number doesn't fit in 64 bits");
  return std::optional<int64_t>(static_cast<int64_t>(number));
}

StatusOr<Value> IntFilter(Session& session, const Value& self, const Arguments& arguments) {
  if (self.Is(Kind::kUndefined)) return UndefinedFailure(self);
  const Value fallback = arguments.Find(0) != nullptr ? *arguments.Find(0) : Value(int64_t{0});
  std::optional<int64_t> whole = WholeNumber(self);
  if (self.Is(Kind::kFloat)) {
    if (std::isinf(self.As<double>())) return fallback;
    GRAFT_ASSIGN_OR_RETURN(whole, Truncated(self.As<double>()));
  } else if (self.Is(Kind::kText)) {
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(2 * self.text().size()));
    int64_t base = 10;
    if (const Value* given = arguments.Find(1); given != nullptr) {
      GRAFT_ASSIGN_OR_RETURN(base, WholeArgument(*given, "base"));
    }
    GRAFT_ASSIGN_OR_RETURN(whole, ParseWhole(self.text(), base));
    if (!whole.has_value()) {
      GRAFT_ASSIGN_OR_RETURN(const auto real, ParseFloat(self.text()));
      if (real.has_value()) {
        GRAFT_ASSIGN_OR_RETURN(whole, Truncated(*real));
      }
    }
  }
  return whole.has_value() ? Value(*whole) : fallback;
}

StatusOr<Value> FloatFilter(Session& session, const Value& self, const Arguments& arguments) {
  if (self.Is(Kind::kUndefined)) return UndefinedFailure(self);
  std::optional<double> real = Number(self);
  if (self.Is(Kind::kText)) {
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(2 * self.text().size()));
    GRAFT_ASSIGN_OR_RETURN(real, ParseFloat(self.text()));
  }
  if (real.has_value()) return Value(*real);
  return arguments.Find(0) != nullptr ? *arguments.Find(0) : Value(0.0);
}

StatusOr<Value> AbsFilter(Session&, const Value& self, const Arguments&) {
  if (self.Is(Kind::kFloat)) return Value(std::abs(self.As<double>()));
  const auto whole = WholeNumber(self);
  if (!whole.has_value()) return Failure("there is no abs of " + std::string(TypeName(self)));
  return *whole < 0 ? Negated(Value(*whole)) : StatusOr<Value>(Value(*whole));
}

/// Python's round(number, precision): to the nearest decimal of the double's exact value.
double RoundedTo(double number, int64_t precision) {
  std::array<char, 400> digits{};
  std::snprintf(digits.data(), digits.size(), "%.*f", static_cast<int>(precision), number);
  return std::strtod(digits.data(), nullptr);
}

StatusOr<Value> RoundFilter(Session&, const Value& self, const Arguments& arguments) {
  int64_t precision = 0;
  if (const Value* given = arguments.Find(0); given != nullptr) {
    GRAFT_ASSIGN_OR_RETURN(precision, WholeArgument(*given, "precision"));
  }
  if (precision < 0 || precision > 22) return Failure("rounds to 0 to 22 digits only");
  GRAFT_ASSIGN_OR_RETURN(const auto method, TextArgument(arguments.Find(1), "method"));
  const std::string_view way = method.value_or("common");
  const auto number = Number(self);
  if (!number.has_value()) return Failure("rounds a " + std::string(TypeName(self)));
  if (way == "common") {
    if (!self.Is(Kind::kFloat)) return Value(*WholeNumber(self));
    return Value(std::isfinite(*number) ? RoundedTo(*number, precision) : *number);
  }
  if (way != "ceil" && way != "floor") return Failure("rounds by common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = way == "ceil" ? std::ceil(*number * scale) : std::floor(*number * scale);
  if (!(std::abs(scaled) <= 9007199254740992.0)) return Failure("rounds too large a number");
  return Value((scaled + 0.0) / scale);
}

constexpr Native kFilters[] = {
    {"abs", "", 0, AbsFilter},
    {"float", "default", 0, FloatFilter},
    {"int", "default base", 0, IntFilter},
    {"round", "precision method", 0, RoundFilter},
};

}  // namespace

std::span<const Native> NumberFilters() { return kFilters; }

}  // namespace graft::templates
