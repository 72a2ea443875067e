#include "common/base/utf8.h"
#include "common/templates/evaluation/evaluator.h"
#include "common/templates/library/attributes.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {

using Kind = Value::Kind;

StatusOr<Value> Evaluator::Evaluate(const Expression& expression, Frame& frame) {
  const Level level(*this);
  Status status = level.Begin();
  if (status.ok()) {
    StatusOr<Value> value =
        std::visit([&](const auto& form) { return Get(form, frame); }, expression.form);
    if (value.ok()) return value;
    status = std::move(value).status();
  }
  return Located(expression.at, std::move(status));
}

StatusOr<Value> Evaluator::Get(const Name& name, Frame& frame) {
  const Value& value = frame.At(name.reference);
  return value.Is(Kind::kMissing) ? Value(Undefined{&name.name}) : value;
}

StatusOr<Value> Evaluator::Get(const AttributeAccess& access, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value object, Evaluate(*access.object, frame));
  return AttributeOf(session_, object, access.name);
}

StatusOr<Value> Evaluator::Get(const ItemAccess& access, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value object, Evaluate(*access.object, frame));
  GRAFT_ASSIGN_OR_RETURN(const Value key, Evaluate(*access.key, frame));
  const Constant* constant = access.key->If<Constant>();
  const bool is_named = constant != nullptr && constant->value.Is(Kind::kText);
  return ItemOf(session_, object, key, is_named ? &constant->value.text() : nullptr);
}

StatusOr<std::optional<int64_t>> Evaluator::Bound(const ExpressionPtr& expression, Frame& frame) {
  if (expression == nullptr) return std::optional<int64_t>();
  GRAFT_ASSIGN_OR_RETURN(const Value value, Evaluate(*expression, frame));
  if (value.Is(Kind::kNone)) return std::optional<int64_t>();
  GRAFT_ASSIGN_OR_RETURN(const int64_t bound, WholeArgument(value, "a slice's bound"));
  return std::optional<int64_t>(bound);
}

StatusOr<Value> Evaluator::Get(const SliceAccess& access, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value object, Evaluate(*access.object, frame));
  SliceBounds bounds;
  GRAFT_ASSIGN_OR_RETURN(bounds.start, Bound(access.start, frame));
  GRAFT_ASSIGN_OR_RETURN(bounds.stop, Bound(access.stop, frame));
  GRAFT_ASSIGN_OR_RETURN(bounds.step, Bound(access.step, frame));
  return SliceOf(session_, object, bounds);
}

StatusOr<Value> Evaluator::Get(const Application& application, Frame& frame) {
  const bool is_filter = application.what == Application::What::kFilter;
  Value input;
  if (application.input == nullptr) {
    input = captured_.back();
  } else {
    GRAFT_ASSIGN_OR_RETURN(input, Evaluate(*application.input, frame));
  }
  GRAFT_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(application.arguments, frame));
  if (application.native == nullptr)
    return Failure((is_filter ? "there is no filter " : "there is no test ") +
                   Quoted(application.name));
  return templates::Call(session_, *application.native, input, std::move(arguments));
}

StatusOr<Value> Evaluator::Get(const Unary& unary, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value operand, Evaluate(*unary.operand, frame));
  if (unary.sign == Unary::Sign::kNot) return Value(!Truth(operand));
  if (unary.sign == Unary::Sign::kMinus) return Negated(operand);
  if (operand.Is(Kind::kUndefined)) return UndefinedFailure(operand);
  if (operand.Is(Kind::kFloat)) return operand;
  GRAFT_ASSIGN_OR_RETURN(const int64_t whole, WholeArgument(operand, "what stands behind +"));
  return Value(whole);
}

StatusOr<Value> Evaluator::Get(const Arithmetic& binary, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value left, Evaluate(*binary.left, frame));
  GRAFT_ASSIGN_OR_RETURN(const Value right, Evaluate(*binary.right, frame));
  return Calculate(session_, binary.op, left, right);
}

StatusOr<Value> Evaluator::Get(const Logical& binary, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(Value left, Evaluate(*binary.left, frame));
  return Truth(left) == binary.is_and ? Evaluate(*binary.right, frame) : std::move(left);
}

StatusOr<bool> Evaluator::Holds(Comparisons::Sign sign, const Value& left, const Value& right) {
  using Sign = Comparisons::Sign;
  switch (sign) {
    case Sign::kIn:
      return Contains(session_, right, left);
    case Sign::kNotIn: {
      GRAFT_ASSIGN_OR_RETURN(const bool is_in, Contains(session_, right, left));
      return !is_in;
    }
    default:  // The others are in the same order.
      return Compare(session_, static_cast<Comparison>(sign), left, right);
  }
}

StatusOr<Value> Evaluator::Get(const Comparisons& comparisons, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(Value left, Evaluate(*comparisons.first, frame));
  for (const auto& [sign, operand] : comparisons.rest) {
    GRAFT_ASSIGN_OR_RETURN(Value right, Evaluate(*operand, frame));
    GRAFT_ASSIGN_OR_RETURN(const bool holds, Holds(sign, left, right));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

StatusOr<Value> Evaluator::Get(const Concatenation& concatenation, Frame& frame) {
  std::vector<Value> parts;
  for (const ExpressionPtr& part : concatenation.parts) {
    GRAFT_ASSIGN_OR_RETURN(Value value, Evaluate(*part, frame));
    parts.push_back(std::move(value));
  }
  TextBuilder out(session_);
  for (const Value& part : parts) GRAFT_RETURN_IF_ERROR(AppendText(session_, part, out));
  return out.Finish();
}

StatusOr<Value> Evaluator::Get(const Conditional& conditional, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value test, Evaluate(*conditional.test, frame));
  if (Truth(test)) return Evaluate(*conditional.value, frame);
  if (conditional.otherwise == nullptr) return Value(Undefined());
  return Evaluate(*conditional.otherwise, frame);
}

StatusOr<Value> Evaluator::Get(const SequenceLiteral& literal, Frame& frame) {
  std::vector<Value> items;
  items.reserve(literal.items.size());
  for (const ExpressionPtr& item : literal.items) {
    GRAFT_ASSIGN_OR_RETURN(Value value, Evaluate(*item, frame));
    items.push_back(std::move(value));
  }
  return MakeSequence(session_, literal.form, std::move(items));
}

StatusOr<Value> Evaluator::Get(const DictLiteral& literal, Frame& frame) {
  Dict dict;
  for (const auto& item : literal.items) {
    GRAFT_ASSIGN_OR_RETURN(Value key, Evaluate(*item.first, frame));
    GRAFT_ASSIGN_OR_RETURN(Value value, Evaluate(*item.second, frame));
    GRAFT_RETURN_IF_ERROR(dict.Set(&session_, std::move(key), std::move(value)));
  }
  return MakeDict(std::move(dict));
}

}  // namespace graft::templates
