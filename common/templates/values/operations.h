#pragma once
/// Python's operators and built-in questions on values. What Python raises an exception for is a
/// Failure here; every function pays for its work with the session (LimitFailure).
/// Source: docs.python.org, "Expressions" and "Built-in Types".

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/templates/values/value.h"

namespace graft::templates {

/// The error for a use that an undefined value doesn't allow. Requires: undefined.
Status UndefinedFailure(const Value& undefined);

bool Truth(const Value& value);
/// The number of what counts as a whole one (int and bool); nothing for all else.
std::optional<int64_t> WholeNumber(const Value& value);
/// The number, rounded to a double, of int, bool and float.
std::optional<double> Number(const Value& value);

enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };
/// Errors: Failure for an order that the types don't have.
StatusOr<bool> Compare(Session& session, Comparison comparison, const Value& a, const Value& b);
StatusOr<bool> Equal(Session& session, const Value& a, const Value& b);
/// Below 0, 0 or above 0 as `a` comes before `b`. Errors: Failure if they have no order.
StatusOr<int> Order(Session& session, const Value& a, const Value& b);

/// Errors: Failure if `value` is or holds a list or dict, which can be no key.
Status CheckHashable(Session& session, const Value& value);
/// `item in container`.
StatusOr<bool> Contains(Session& session, const Value& container, const Value& item);
/// len(value).
StatusOr<int64_t> Length(Session& session, const Value& value);

bool IsIterable(const Value& value);
/// What a loop over `value` sees: a sequence itself, the characters of a text, the keys of a dict.
/// An iterator's first items are those that are taken already.
StatusOr<std::shared_ptr<const Sequence>> Iterated(Session& session, const Value& value);
/// The items that a loop would see; takes all of an iterator's.
StatusOr<std::vector<Value>> Items(Session& session, const Value& value);
StatusOr<Value> MakePair(Session& session, const Value& first, const Value& second);

enum class Operator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
/// Errors: Failure also if a whole number doesn't fit in 64 bits.
StatusOr<Value> Calculate(Session& session, Operator op, const Value& a, const Value& b);
StatusOr<Value> Negated(const Value& value);

/// value[start:stop:step]; nothing where a part is left out.
struct SliceBounds {
  std::optional<int64_t> start, stop, step;
};
StatusOr<Value> SliceOf(Session& session, const Value& value, const SliceBounds& bounds);
/// range(start, stop, step). Errors: Failure if step is 0; LimitFailure beyond 100,000 numbers,
/// jinja2's limit.
StatusOr<Value> MakeRange(Session& session, int64_t start, int64_t stop, int64_t step);

/// `text` with &, <, >, ' and " as HTML has them; itself if it is safe. Requires: a text.
StatusOr<Value> Escaped(Session& session, const Value& text);

}  // namespace graft::templates
