#include <algorithm>
#include <cmath>

#include "common/base/utf8.h"
#include "common/templates/values/operations.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

/// Holds every int64 and every double.
std::optional<long double> Exact(const Value& value) {
  if (const auto whole = WholeNumber(value); whole.has_value())
    return static_cast<long double>(*whole);
  if (value.Is(Kind::kFloat)) return static_cast<long double>(value.As<double>());
  return {};
}

bool IsNan(const Value& value) { return value.Is(Kind::kFloat) && std::isnan(value.As<double>()); }

int Sign(bool less, bool greater) { return less ? -1 : greater ? 1 : 0; }

template <typename T>
bool IsSame(const Value& a, const Value& b) {
  return a.As<std::shared_ptr<T>>() == b.As<std::shared_ptr<T>>();
}

StatusOr<bool> EqualItems(Session& session, const Sequence& a, const Sequence& b) {
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, a.items[i], b.items[i]));
    if (!equal) return false;
  }
  return true;
}

StatusOr<bool> EqualSequences(Session& session, const Value& a, const Value& b) {
  using Form = Sequence::Form;
  if (IsSame<const Sequence>(a, b)) return true;
  const Form form = a.sequence().form;
  if (form != b.sequence().form || form == Form::kIterator || form == Form::kValues) return false;
  if (form == Form::kKeys || form == Form::kItems)
    return Failure("compares the keys or items of two dicts, which isn't built");
  return EqualItems(session, a.sequence(), b.sequence());
}

StatusOr<bool> EqualDicts(Session& session, const Dict& a, const Dict& b) {
  if (a.items().size() != b.items().size()) return false;
  for (const auto& [key, value] : a.items()) {
    const Value* other = b.Find(key);
    if (other == nullptr) return false;
    GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, value, *other));
    if (!equal) return false;
  }
  return true;
}

}  // namespace

Status UndefinedFailure(const Value& undefined) {
  const std::string* name = undefined.As<Undefined>().name;
  return Failure(name == nullptr ? "uses a value that isn't there"
                                 : Quoted(*name) + " is undefined");
}

bool Truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.As<bool>();
    case Kind::kInteger:
      return value.As<int64_t>() != 0;
    case Kind::kFloat:
      return value.As<double>() != 0;
    case Kind::kText:
      return !value.text().empty();
    case Kind::kSequence:
      return value.IsSequence(Sequence::Form::kIterator) || !value.sequence().items.empty();
    case Kind::kDict:
      return !value.dict().items().empty();
    default:
      return true;
  }
}

std::optional<int64_t> WholeNumber(const Value& value) {
  if (value.Is(Kind::kInteger)) return value.As<int64_t>();
  if (value.Is(Kind::kBool)) return value.As<bool>() ? 1 : 0;
  return {};
}

std::optional<double> Number(const Value& value) {
  if (value.Is(Kind::kFloat)) return value.As<double>();
  if (const auto whole = WholeNumber(value); whole.has_value()) return static_cast<double>(*whole);
  return {};
}

StatusOr<bool> Equal(Session& session, const Value& a, const Value& b) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  const auto left = Exact(a);
  const auto right = Exact(b);
  if (left.has_value() && right.has_value()) return *left == *right;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kText:
      if (a.text().size() != b.text().size()) return false;
      GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(a.text().size()));
      return a.text() == b.text();
    case Kind::kSequence:
      return EqualSequences(session, a, b);
    case Kind::kDict:
      return EqualDicts(session, a.dict(), b.dict());
    case Kind::kNamespace:
      return IsSame<Namespace>(a, b);
    case Kind::kLoop:
      return IsSame<LoopState>(a, b);
    case Kind::kCallable:
      return IsSame<const Callable>(a, b);
    default:
      return true;  // Undefined or none, both.
  }
}

StatusOr<int> Order(Session& session, const Value& a, const Value& b) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  if (a.Is(Kind::kUndefined)) return UndefinedFailure(a);
  if (b.Is(Kind::kUndefined)) return UndefinedFailure(b);
  const auto left = Exact(a);
  const auto right = Exact(b);
  if (left.has_value() && right.has_value() && !IsNan(a) && !IsNan(b))
    return Sign(*left<*right, *left> * right);
  if (a.Is(Kind::kText) && b.Is(Kind::kText)) {
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(std::min(a.text().size(), b.text().size())));
    const int order = a.text().compare(b.text());  // UTF-8's bytes are in the order of code points.
    return Sign(order<0, order> 0);
  }
  for (const auto form : {Sequence::Form::kList, Sequence::Form::kTuple}) {
    if (!a.IsSequence(form) || !b.IsSequence(form)) continue;
    const auto& first = a.sequence().items;
    const auto& second = b.sequence().items;
    for (size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
      GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, first[i], second[i]));
      if (!equal) return Order(session, first[i], second[i]);
    }
    return Sign(first.size() < second.size(), first.size() > second.size());
  }
  return Failure("there is no order between " + std::string(TypeName(a)) + " and " +
                 std::string(TypeName(b)));
}

StatusOr<bool> Compare(Session& session, Comparison comparison, const Value& a, const Value& b) {
  if (comparison == Comparison::kEqual || comparison == Comparison::kNotEqual) {
    GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, a, b));
    return equal == (comparison == Comparison::kEqual);
  }
  if (Number(a).has_value() && Number(b).has_value() && (IsNan(a) || IsNan(b))) return false;
  GRAFT_ASSIGN_OR_RETURN(const int order, Order(session, a, b));
  switch (comparison) {
    case Comparison::kLess:
      return order < 0;
    case Comparison::kLessEqual:
      return order <= 0;
    case Comparison::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

}  // namespace graft::templates
