#include <algorithm>

#include "common/templates/library/methods.h"
#include "common/templates/library/native.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;
using Form = Sequence::Form;

template <bool (*holds)(const Value&)>
StatusOr<Value> Plain(Session&, const Value& self, const Arguments&) {
  return Value(holds(self));
}

bool IsDefined(const Value& value) { return !value.Is(Kind::kUndefined); }
bool IsUndefined(const Value& value) { return value.Is(Kind::kUndefined); }
bool IsNone(const Value& value) { return value.Is(Kind::kNone); }
bool IsBool(const Value& value) { return value.Is(Kind::kBool); }
bool IsTrue(const Value& value) { return value.Is(Kind::kBool) && value.As<bool>(); }
bool IsFalse(const Value& value) { return value.Is(Kind::kBool) && !value.As<bool>(); }
bool IsInteger(const Value& value) { return value.Is(Kind::kInteger); }
bool IsFloat(const Value& value) { return value.Is(Kind::kFloat); }
bool IsNumber(const Value& value) { return Number(value).has_value(); }
bool IsString(const Value& value) { return value.Is(Kind::kText); }
bool IsMapping(const Value& value) { return value.Is(Kind::kDict); }
bool IsSequenceTest(const Value& value) {
  return value.Is(Kind::kText) || value.Is(Kind::kDict) || value.Is(Kind::kUndefined) ||
         (value.Is(Kind::kSequence) && value.sequence().form <= Form::kRange);
}
bool IsCallable(const Value& value) {
  return value.Is(Kind::kCallable) || value.Is(Kind::kLoop) || value.Is(Kind::kUndefined);
}

template <Comparison comparison>
StatusOr<Value> Compares(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const bool holds, Compare(session, comparison, self, *arguments.Find(0)));
  return Value(holds);
}

StatusOr<Value> IsIn(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const bool holds, Contains(session, *arguments.Find(0), self));
  return Value(holds);
}

StatusOr<Value> Divides(Session& session, const Value& self, const Value& by, int64_t rest) {
  GRAFT_ASSIGN_OR_RETURN(const Value modulo, Calculate(session, Operator::kModulo, self, by));
  GRAFT_ASSIGN_OR_RETURN(const bool holds, Equal(session, modulo, Value(rest)));
  return Value(holds);
}
StatusOr<Value> IsOdd(Session& session, const Value& self, const Arguments&) {
  return Divides(session, self, Value(int64_t{2}), 1);
}
StatusOr<Value> IsEven(Session& session, const Value& self, const Arguments&) {
  return Divides(session, self, Value(int64_t{2}), 0);
}
StatusOr<Value> IsDivisibleBy(Session& session, const Value& self, const Arguments& arguments) {
  return Divides(session, self, *arguments.Find(0), 0);
}

/// Which numbers and texts are one object is up to Python's version.
StatusOr<Value> IsSameAs(Session&, const Value& self, const Arguments& arguments) {
  const Value& other = *arguments.Find(0);
  if (self.kind() != other.kind()) return Value(false);
  if (self.Is(Kind::kNone)) return Value(true);
  if (self.Is(Kind::kBool)) return Value(self.As<bool>() == other.As<bool>());
  return Failure("asks for the sameness of what is neither none, true nor false");
}

template <bool (*is_built)(std::string_view), bool (*is_missing)(std::string_view)>
StatusOr<Value> Exists(Session& session, const Value& self, const Arguments&) {
  GRAFT_RETURN_IF_ERROR(CheckHashable(session, self));
  return Value(self.Is(Kind::kText) && (is_built(self.text()) || is_missing(self.text())));
}
bool HasFilter(std::string_view name) { return FindFilter(name) != nullptr; }
bool HasTest(std::string_view name) { return FindTest(name) != nullptr; }

/// The method islower or isupper of str(value).
template <bool upper>
StatusOr<Value> IsInCase(Session& session, const Value& self, const Arguments&) {
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  const auto methods = TextMethods();
  const auto method = std::find_if(methods.begin(), methods.end(), [](const Native& native) {
    return native.name == (upper ? "isupper" : "islower");
  });
  return method->function(session, text, {});
}

constexpr Native kTests[] = {
    {"!=", "other /", 1, Compares<Comparison::kNotEqual>},
    {"<", "other /", 1, Compares<Comparison::kLess>},
    {"<=", "other /", 1, Compares<Comparison::kLessEqual>},
    {"==", "other /", 1, Compares<Comparison::kEqual>},
    {">", "other /", 1, Compares<Comparison::kGreater>},
    {">=", "other /", 1, Compares<Comparison::kGreaterEqual>},
    {"boolean", "", 0, Plain<IsBool>},
    {"callable", "", 0, Plain<IsCallable>},
    {"defined", "", 0, Plain<IsDefined>},
    {"divisibleby", "num", 1, IsDivisibleBy},
    {"eq", "other /", 1, Compares<Comparison::kEqual>},
    {"equalto", "other /", 1, Compares<Comparison::kEqual>},
    {"even", "", 0, IsEven},
    {"false", "", 0, Plain<IsFalse>},
    {"filter", "", 0, Exists<HasFilter, IsMissingFilter>},
    {"float", "", 0, Plain<IsFloat>},
    {"ge", "other /", 1, Compares<Comparison::kGreaterEqual>},
    {"greaterthan", "other /", 1, Compares<Comparison::kGreater>},
    {"gt", "other /", 1, Compares<Comparison::kGreater>},
    {"in", "seq", 1, IsIn},
    {"integer", "", 0, Plain<IsInteger>},
    {"iterable", "", 0, Plain<IsIterable>},
    {"le", "other /", 1, Compares<Comparison::kLessEqual>},
    {"lessthan", "other /", 1, Compares<Comparison::kLess>},
    {"lower", "", 0, IsInCase<false>},
    {"lt", "other /", 1, Compares<Comparison::kLess>},
    {"mapping", "", 0, Plain<IsMapping>},
    {"ne", "other /", 1, Compares<Comparison::kNotEqual>},
    {"none", "", 0, Plain<IsNone>},
    {"number", "", 0, Plain<IsNumber>},
    {"odd", "", 0, IsOdd},
    {"sameas", "other", 1, IsSameAs},
    {"sequence", "", 0, Plain<IsSequenceTest>},
    {"string", "", 0, Plain<IsString>},
    {"test", "", 0, Exists<HasTest, IsMissingTest>},
    {"true", "", 0, Plain<IsTrue>},
    {"undefined", "", 0, Plain<IsUndefined>},
    {"upper", "", 0, IsInCase<true>},
};

}  // namespace

const Native* FindTest(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                   [&](const Native& test) { return test.name == name; });
  return found == std::end(kTests) ? nullptr : found;
}

bool IsMissingTest(std::string_view name) { return name == "escaped"; }

}  // namespace graft::templates
