#include <algorithm>
#include <cmath>

#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

/// Whole numbers up to here are doubles, exactly.
constexpr int64_t kExactInDouble = int64_t{1} << 53;

Status Overflow() { return Failure("a whole number doesn't fit in 64 bits"); }

StatusOr<Value> Power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return Failure("divides by zero");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Value(exponent == 0 ? int64_t{1} : base);
  if (base == -1) return Value(exponent % 2 == 0 ? int64_t{1} : base);
  if (exponent > 63) return Overflow();
  int64_t result = 1;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(result, base, &result)) return Overflow();
  }
  return Value(result);
}

StatusOr<Value> OnWholes(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case Operator::kAdd:
      return __builtin_add_overflow(a, b, &result) ? StatusOr<Value>(Overflow()) : Value(result);
    case Operator::kSubtract:
      return __builtin_sub_overflow(a, b, &result) ? StatusOr<Value>(Overflow()) : Value(result);
    case Operator::kMultiply:
      return __builtin_mul_overflow(a, b, &result) ? StatusOr<Value>(Overflow()) : Value(result);
    case Operator::kPower:
      return Power(a, b);
    default:
      break;
  }
  if (b == 0) return Failure("divides by zero");
  if (op == Operator::kDivide) {
    if (a < -kExactInDouble || a > kExactInDouble || b < -kExactInDouble || b > kExactInDouble)
      return Failure("divides whole numbers beyond 2^53, which isn't built");
    return Value(static_cast<double>(a) / static_cast<double>(b));
  }
  if (b == -1) {  // The one case in which C++'s own division overflows.
    if (op == Operator::kModulo) return Value(int64_t{0});
    return __builtin_sub_overflow(int64_t{0}, a, &result) ? StatusOr<Value>(Overflow())
                                                          : Value(result);
  }
  const bool rounds_up = a % b != 0 && (a % b < 0) != (b < 0);
  return op == Operator::kModulo ? Value(a % b + (rounds_up ? b : 0))
                                 : Value(a / b - (rounds_up ? 1 : 0));
}

StatusOr<Value> OnDoubles(Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return Value(a + b);
    case Operator::kSubtract:
      return Value(a - b);
    case Operator::kMultiply:
      return Value(a * b);
    case Operator::kPower: {
      if (a == 0 && b < 0) return Failure("divides by zero");
      if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b))
        return Failure("the root of a negative number isn't built");
      const double result = std::pow(a, b);
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
        return Failure("a number is too large");
      return Value(result);
    }
    default:
      break;
  }
  if (b == 0) return Failure("divides by zero");
  if (op == Operator::kDivide) return Value(a / b);
  double modulo = std::fmod(a, b);
  double quotient = (a - modulo) / b;
  if (modulo == 0) {
    modulo = std::copysign(0.0, b);
  } else if ((b < 0) != (modulo < 0)) {
    modulo += b;
    quotient -= 1;
  }
  if (op == Operator::kModulo) return Value(modulo);
  if (quotient == 0) return Value(std::copysign(0.0, a / b));
  double floor = std::floor(quotient);
  if (quotient - floor > 0.5) floor += 1;
  return Value(floor);
}

StatusOr<Value> AddTexts(Session& session, const Value& a, const Value& b) {
  const bool safe = a.is_safe_text() || b.is_safe_text();
  GRAFT_ASSIGN_OR_RETURN(const Value left, safe ? Escaped(session, a) : a);
  GRAFT_ASSIGN_OR_RETURN(const Value right, safe ? Escaped(session, b) : b);
  GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(left.text().size() + right.text().size()));
  TextBuilder both(session);
  both.Append(left.text());
  both.Append(right.text());
  return both.Finish(safe);
}

StatusOr<Value> AddSequences(Session& session, const Sequence& a, const Sequence& b) {
  const size_t size = a.items.size() + b.items.size();
  GRAFT_RETURN_IF_ERROR(session.Spend(size));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, size * sizeof(Value)));
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return MakeSequence(session, a.form, std::move(items));
}

StatusOr<Value> RepeatText(Session& session, const Value& text, int64_t times) {
  if (text.is_safe_text()) return Failure("repeats a safe text, which isn't built");
  TextBuilder out(session);
  if (text.text().empty()) times = 0;
  for (int64_t i = 0; i < times && out.Append(text.text()); ++i)
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(text.text().size()));
  return out.Finish();
}

StatusOr<Value> RepeatSequence(Session& session, const Sequence& sequence, int64_t times) {
  const size_t each = sequence.items.size();
  const auto count = each == 0 ? size_t{0} : static_cast<size_t>(std::max<int64_t>(times, 0));
  size_t size = 0;
  if (__builtin_mul_overflow(count, each, &size)) return LimitFailure("makes too long a list");
  GRAFT_RETURN_IF_ERROR(session.Spend(size));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, size * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(size);
  for (size_t i = 0; i < count; ++i)
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  return MakeSequence(session, sequence.form, std::move(items));
}

/// A text or a list or tuple, times a number.
StatusOr<Value> Repeat(Session& session, const Value& value, int64_t times) {
  return value.Is(Kind::kText) ? RepeatText(session, value, times)
                               : RepeatSequence(session, value.sequence(), times);
}

bool IsRepeatable(const Value& value) {
  return value.Is(Kind::kText) || value.IsSequence(Sequence::Form::kList) ||
         value.IsSequence(Sequence::Form::kTuple);
}

}  // namespace

StatusOr<Value> Calculate(Session& session, Operator op, const Value& a, const Value& b) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  if (op == Operator::kModulo && a.Is(Kind::kText)) return FormatPercent(session, a, b);
  if (a.Is(Kind::kUndefined)) return UndefinedFailure(a);
  if (b.Is(Kind::kUndefined)) return UndefinedFailure(b);
  const auto whole_a = WholeNumber(a);
  const auto whole_b = WholeNumber(b);
  if (whole_a.has_value() && whole_b.has_value()) return OnWholes(op, *whole_a, *whole_b);
  const auto number_a = Number(a);
  const auto number_b = Number(b);
  if (number_a.has_value() && number_b.has_value()) return OnDoubles(op, *number_a, *number_b);
  if (op == Operator::kAdd) {
    if (a.Is(Kind::kText) && b.Is(Kind::kText)) return AddTexts(session, a, b);
    if (IsRepeatable(a) && a.Is(Kind::kSequence) && b.Is(Kind::kSequence) &&
        a.sequence().form == b.sequence().form)
      return AddSequences(session, a.sequence(), b.sequence());
  }
  if (op == Operator::kMultiply) {
    if (IsRepeatable(a) && whole_b.has_value()) return Repeat(session, a, *whole_b);
    if (IsRepeatable(b) && whole_a.has_value()) return Repeat(session, b, *whole_a);
  }
  constexpr std::string_view kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};
  return Failure("there is no " + std::string(TypeName(a)) + " " +
                 std::string(kSigns[static_cast<size_t>(op)]) + " " + std::string(TypeName(b)));
}

StatusOr<Value> Negated(const Value& value) {
  if (value.Is(Kind::kUndefined)) return UndefinedFailure(value);
  if (value.Is(Kind::kFloat)) return Value(-value.As<double>());
  const auto whole = WholeNumber(value);
  if (!whole.has_value()) return Failure("there is no -" + std::string(TypeName(value)));
  return OnWholes(Operator::kSubtract, 0, *whole);
}

StatusOr<Value> Escaped(Session& session, const Value& text) {
  if (text.is_safe_text()) return text;
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(text.text().size()));
  TextBuilder out(session);
  for (const char c : text.text()) {
    switch (c) {
      case '&':
        out.Append("&amp;");
        break;
      case '<':
        out.Append("&lt;");
        break;
      case '>':
        out.Append("&gt;");
        break;
      case '\'':
        out.Append("&#39;");
        break;
      case '"':
        out.Append("&#34;");
        break;
      default:
        out.Append(c);
    }
  }
  return out.Finish(true);
}

}  // namespace graft::templates
