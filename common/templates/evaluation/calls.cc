#include "common/base/utf8.h"
#include "common/templates/evaluation/evaluator.h"
#include "common/templates/values/operations.h"

namespace graft::templates {

using Kind = Value::Kind;

StatusOr<Value> Evaluator::Get(const CallExpression& call, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value callee, Evaluate(*call.callee, frame));
  GRAFT_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(call.arguments, frame));
  return CallValue(callee, std::move(arguments));
}

StatusOr<Arguments> Evaluator::EvaluateArguments(const CallArguments& from, Frame& frame) {
  Arguments arguments;
  for (const ExpressionPtr& argument : from.positional) {
    GRAFT_ASSIGN_OR_RETURN(Value value, Evaluate(*argument, frame));
    arguments.positional.push_back(std::move(value));
  }
  if (from.more_positional != nullptr) {
    GRAFT_ASSIGN_OR_RETURN(const Value more, Evaluate(*from.more_positional, frame));
    GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session_, more));
    arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
  }
  for (const auto& [name, argument] : from.named) {
    GRAFT_ASSIGN_OR_RETURN(Value value, Evaluate(*argument, frame));
    arguments.named.emplace_back(name, std::move(value));
  }
  if (from.more_named == nullptr) return arguments;
  GRAFT_ASSIGN_OR_RETURN(const Value more, Evaluate(*from.more_named, frame));
  if (!more.Is(Kind::kDict)) return Failure("behind ** comes a dict");
  GRAFT_RETURN_IF_ERROR(session_.Spend(more.dict().items().size() * (1 + from.named.size())));
  for (const auto& [key, value] : more.dict().items()) {
    if (!key.Is(Kind::kText)) return Failure("arguments' names are texts");
    for (const auto& named : from.named) {
      if (named.first == key.text())
        return Failure("the argument " + Quoted(key.text()) + " is given twice");
    }
    arguments.named.emplace_back(key.text(), value);
  }
  return arguments;
}

StatusOr<Value> Evaluator::CallValue(const Value& callee, Arguments arguments) {
  if (callee.Is(Kind::kUndefined)) return UndefinedFailure(callee);
  if (!callee.Is(Kind::kCallable))
    return Failure("a " + std::string(TypeName(callee)) + " can't be called");
  const Callable& callable = *callee.As<std::shared_ptr<const Callable>>();
  if (callable.procedure != nullptr) return CallMacro(callable, std::move(arguments));
  if (callable.native == nullptr)
    return Failure("the method " + Quoted(callable.name) + " isn't built");
  return templates::Call(session_, *callable.native, callable.self, std::move(arguments));
}

StatusOr<Value> Evaluator::CallMacro(const Callable& macro, Arguments arguments) {
  const bool is_alive =
      macro.frame < frames_.size() && frames_[macro.frame]->serial == macro.frame_serial;
  if (!is_alive)
    return Failure("calls the macro " + Quoted(macro.name) + " outside of the block it is of");
  Frame frame;
  frame.outer = const_cast<Frame*>(frames_[macro.frame]);
  const Alive alive(*this, frame);
  const Procedure& procedure = *macro.procedure;
  frame.slots.resize(procedure.frame.loads.size());
  if (const Status status = TakeParameters(procedure, std::move(arguments), frame); !status.ok())
    return Failure("the macro " + Quoted(procedure.name) + " " + status.message());
  Capture capture(*this);
  GRAFT_RETURN_IF_ERROR(WriteProcedure(procedure, frame));
  return capture.Finish();
}

Status Evaluator::TakeParameters(const Procedure& procedure, Arguments arguments, Frame& frame) {
  const size_t count = procedure.parameters.size();
  GRAFT_RETURN_IF_ERROR(session_.Spend(arguments.named.size() * (1 + count)));
  const size_t num_given = std::min(count, arguments.positional.size());
  for (size_t i = 0; i < num_given; ++i) frame.slots[i] = std::move(arguments.positional[i]);
  static const std::string kCaller = "caller";
  Value caller{Undefined{&kCaller}};
  Dict kwargs;
  for (auto& [name, value] : arguments.named) {
    size_t slot = num_given;
    while (slot < count && procedure.parameters[slot].name != name) ++slot;
    if (slot < count) {
      frame.slots[slot] = std::move(value);
    } else if (name == "caller" && procedure.caller.has_value()) {
      caller = std::move(value);
    } else if (procedure.kwargs.has_value()) {
      GRAFT_RETURN_IF_ERROR(kwargs.Set(&session_, ConstantText(name), std::move(value)));
    } else {
      return Failure("takes no argument " + Quoted(name));
    }
  }
  if (procedure.caller.has_value()) frame.slots[*procedure.caller] = std::move(caller);
  if (procedure.kwargs.has_value()) frame.slots[*procedure.kwargs] = MakeDict(std::move(kwargs));
  if (!procedure.varargs.has_value()) {
    return arguments.positional.size() <= count
               ? OkStatus()
               : Failure("takes at most " + std::to_string(count) + " arguments");
  }
  std::vector<Value> rest(arguments.positional.begin() + static_cast<std::ptrdiff_t>(num_given),
                          arguments.positional.end());
  GRAFT_ASSIGN_OR_RETURN(frame.slots[*procedure.varargs], MakeTuple(session_, std::move(rest)));
  return OkStatus();
}

Status Evaluator::WriteProcedure(const Procedure& procedure, Frame& frame) {
  GRAFT_RETURN_IF_ERROR(Enter(procedure.frame, frame));
  for (size_t i = 0; i < procedure.parameters.size(); ++i) {
    if (!frame.slots[i].Is(Kind::kMissing)) continue;
    const auto& parameter = procedure.parameters[i];
    if (parameter.fallback == nullptr) {
      frame.slots[i] = Undefined{&parameter.name};
    } else {
      GRAFT_ASSIGN_OR_RETURN(frame.slots[i], Evaluate(*parameter.fallback, frame));
    }
  }
  return Execute(procedure.body, frame).status();
}

Value Evaluator::MacroValue(const std::shared_ptr<Procedure>& procedure, const Frame& frame) const {
  auto macro = std::make_shared<Callable>();
  macro->name = procedure->name;
  macro->procedure = procedure.get();
  macro->frame = frame.index;
  macro->frame_serial = frame.serial;
  return Value(std::shared_ptr<const Callable>(std::move(macro)));
}

}  // namespace graft::templates
