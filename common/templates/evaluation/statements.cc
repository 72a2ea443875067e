#include "common/base/utf8.h"
#include "common/templates/evaluation/evaluator.h"
#include "common/templates/library/loop.h"
#include "common/templates/syntax/source.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {

using Kind = Value::Kind;

Status Evaluator::Level::Begin() const {
  const int most = evaluator_.session_.limits().max_call_depth;
  if (evaluator_.levels_ > most)
    return LimitFailure("is nested deeper than " + std::to_string(most) + " levels when rendered");
  return evaluator_.session_.Spend(1);
}

StatusOr<Evaluated> Evaluator::Run() {
  Frame frame;
  const Alive alive(*this, frame);
  frame.slots.resize(program_.frame.loads.size());
  GRAFT_RETURN_IF_ERROR(Enter(program_.frame, frame));
  GRAFT_RETURN_IF_ERROR(Execute(program_.body, frame).status());
  return std::move(out_);
}

Status Evaluator::Located(size_t at, Status status) {
  if (is_located_ || status.ok()) return status;
  is_located_ = true;
  Status located(status.code(), Position(program_.source, at) + ": " + status.message());
  for (const ErrorDetail& detail : status.details()) located.AddDetail(detail);
  return located;
}

Status Evaluator::Write(std::string_view text) {
  if (!captures_.empty()) {
    captures_.back()->Append(text);
    return captures_.back()->status();
  }
  const size_t most = session_.limits().max_output_bytes;
  if (text.size() > most - out_.text.size())
    return LimitFailure("writes more than " + std::to_string(most) + " bytes");
  out_.text += text;
  return OkStatus();
}

Status Evaluator::WriteResult(const Value& value) {
  if (!value.Is(Kind::kText))
    return Failure("a block gives a " + std::string(TypeName(value)) + " instead of a text");
  return Write(value.text());
}

Value Evaluator::FromContext(const std::string& name) {
  if (const Value* given = context_.Find(name); given != nullptr) return *given;
  const Native* native = FindFunction(name);
  if (native == nullptr) return {};
  Value& function = functions_[native];
  if (function.Is(Kind::kMissing)) {
    auto made = std::make_shared<Callable>();
    made->name = name;
    made->native = native;
    function = Value(std::shared_ptr<const Callable>(std::move(made)));
  }
  return function;
}

Status Evaluator::Enter(const FrameLayout& layout, Frame& frame) {
  GRAFT_RETURN_IF_ERROR(session_.Spend(layout.loads.size()));
  for (size_t slot = 0; slot < layout.loads.size(); ++slot) {
    const Load& load = layout.loads[slot];
    switch (load.from) {
      case Load::From::kParameter:
        break;
      case Load::From::kNowhere:
        frame.slots[slot] = Missing();
        break;
      case Load::From::kContext:
        frame.slots[slot] = FromContext(load.name);
        break;
      case Load::From::kOuter:
        frame.slots[slot] = frame.outer->At(load.outer);
        break;
    }
  }
  return OkStatus();
}

StatusOr<Evaluator::Flow> Evaluator::Execute(const Block& block, Frame& frame) {
  const Level level(*this);
  for (const Statement& statement : block) {
    Status status = level.Begin();
    if (status.ok()) {
      const StatusOr<Flow> flow =
          std::visit([&](const auto& form) { return Do(form, frame); }, statement.form);
      if (flow.ok() && *flow == Flow::kNext) continue;
      if (flow.ok()) return *flow;
      status = flow.status();
    }
    return Located(statement.at, std::move(status));
  }
  return Flow::kNext;
}

StatusOr<Evaluator::Flow> Evaluator::Do(const TextStatement& text, Frame&) {
  GRAFT_RETURN_IF_ERROR(Write(text.text));
  return Flow::kNext;
}

StatusOr<Evaluator::Flow> Evaluator::Do(const PrintStatement& print, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value value, Evaluate(*print.value, frame));
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session_, value));
  GRAFT_RETURN_IF_ERROR(session_.SpendOnBytes(text.text().size()));
  GRAFT_RETURN_IF_ERROR(Write(text.text()));
  return Flow::kNext;
}

StatusOr<Evaluator::Flow> Evaluator::Do(const IfStatement& statement, Frame& frame) {
  for (const auto& [test, body] : statement.branches) {
    GRAFT_ASSIGN_OR_RETURN(const Value value, Evaluate(*test, frame));
    if (Truth(value)) return Execute(body, frame);
  }
  return Execute(statement.otherwise, frame);
}

StatusOr<Evaluator::Flow> Evaluator::Do(const SetStatement& set, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(Value value, Evaluate(*set.value, frame));
  GRAFT_RETURN_IF_ERROR(Assign(set.target, std::move(value), frame));
  return Flow::kNext;
}

Status Evaluator::Assign(const Target& target, Value value, Frame& frame) {
  switch (target.what) {
    case Target::What::kName:
      frame.At(target.reference) = std::move(value);
      return OkStatus();
    case Target::What::kAttribute: {
      const Value& space = frame.At(target.reference);
      if (!space.Is(Kind::kNamespace))
        return Failure(Quoted(target.name) + " is no namespace, so nothing in it can be set");
      if (target.attribute.starts_with('_'))
        return Failure("a namespace has no names that begin with an underscore");
      return space.As<std::shared_ptr<Namespace>>()->attributes.Set(
          &session_, ConstantText(target.attribute), std::move(value));
    }
    case Target::What::kSeveral:
      break;
  }
  GRAFT_ASSIGN_OR_RETURN(auto items, Items(session_, value));
  if (items.size() != target.parts.size()) {
    return Failure("assigns " + std::to_string(items.size()) + " values to " +
                   std::to_string(target.parts.size()) + " names");
  }
  for (size_t i = 0; i < items.size(); ++i)
    GRAFT_RETURN_IF_ERROR(Assign(target.parts[i], std::move(items[i]), frame));
  return OkStatus();
}

StatusOr<Evaluator::Flow> Evaluator::Do(const CaptureStatement& statement, Frame& frame) {
  Frame inner;
  inner.outer = &frame;
  const Alive alive(*this, inner);
  inner.slots.resize(statement.frame.loads.size());
  GRAFT_RETURN_IF_ERROR(Enter(statement.frame, inner));
  Value value;
  {
    Capture capture(*this);
    GRAFT_ASSIGN_OR_RETURN(const Flow flow, Execute(statement.body, inner));
    if (flow != Flow::kNext) return flow;
    GRAFT_ASSIGN_OR_RETURN(value, capture.Finish());
  }
  if (statement.filter != nullptr) {
    captured_.push_back(std::move(value));
    StatusOr<Value> filtered = Evaluate(*statement.filter, inner);
    captured_.pop_back();
    GRAFT_ASSIGN_OR_RETURN(value, std::move(filtered));
  }
  if (statement.target.has_value()) {
    GRAFT_RETURN_IF_ERROR(Assign(*statement.target, std::move(value), frame));
  } else {
    GRAFT_RETURN_IF_ERROR(WriteResult(value));
  }
  return Flow::kNext;
}

StatusOr<Evaluator::Flow> Evaluator::Do(const WithStatement& with, Frame& frame) {
  Frame inner;
  inner.outer = &frame;
  const Alive alive(*this, inner);
  inner.slots.resize(with.frame.loads.size());
  GRAFT_RETURN_IF_ERROR(Enter(with.frame, inner));
  for (const auto& [target, expression] : with.values) {
    GRAFT_ASSIGN_OR_RETURN(Value value, Evaluate(*expression, frame));
    GRAFT_RETURN_IF_ERROR(Assign(target, std::move(value), inner));
  }
  return Execute(with.body, inner);
}

StatusOr<Evaluator::Flow> Evaluator::Do(const MacroStatement& macro, Frame& frame) {
  frame.At(macro.reference) = MacroValue(macro.procedure, frame);
  return Flow::kNext;
}

StatusOr<Evaluator::Flow> Evaluator::Do(const CallStatement& statement, Frame& frame) {
  const CallExpression& call = *statement.call->If<CallExpression>();
  GRAFT_ASSIGN_OR_RETURN(const Value callee, Evaluate(*call.callee, frame));
  GRAFT_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(call.arguments, frame));
  arguments.named.emplace_back("caller", MacroValue(statement.caller, frame));
  GRAFT_ASSIGN_OR_RETURN(const Value value, CallValue(callee, std::move(arguments)));
  GRAFT_RETURN_IF_ERROR(WriteResult(value));
  return Flow::kNext;
}

StatusOr<Evaluator::Flow> Evaluator::Do(const GenerationStatement& generation, Frame& frame) {
  const bool is_hidden = generations_ > 0 || !captures_.empty();
  const size_t begin = out_.text.size();
  Frame inner;
  inner.outer = &frame;
  const Alive alive(*this, inner);
  inner.slots.resize(generation.body->frame.loads.size());
  GRAFT_RETURN_IF_ERROR(TakeParameters(*generation.body, {}, inner));
  ++generations_;
  const Status status = WriteProcedure(*generation.body, inner);
  --generations_;
  GRAFT_RETURN_IF_ERROR(status);
  if (is_hidden) {
    out_.has_hidden_generation = true;
  } else {
    out_.generated.push_back({begin, out_.text.size()});
  }
  return Flow::kNext;
}

}  // namespace graft::templates
