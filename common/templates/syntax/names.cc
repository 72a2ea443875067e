#include "common/templates/syntax/names.h"

#include "common/base/utf8.h"
#include "common/templates/library/attributes.h"
#include "common/templates/syntax/scope.h"
#include "common/templates/syntax/source.h"
#include "common/templates/syntax/uses.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

/// Where in the template something stands, as far as that matters to unknown names.
struct Place {
  const Scope* scope;
  bool in_if = false;       ///< In an `if` of this frame: jinja2 looks for filters only when met.
  bool always_met = false;  ///< Nothing decides whether this is reached.
};

class Binder {
 public:
  explicit Binder(Program& program) : program_(program) {}

  Status Run() {
    Scope scope(nullptr, program_.frame);
    scope.CollectBlock(program_.body);
    return BindBlock(program_.body, {&scope, false, true});
  }

  // --- Statements
  Status Bind(TextStatement&, const Place&) { return OkStatus(); }
  Status Bind(BreakStatement&, const Place&) { return OkStatus(); }
  Status Bind(ContinueStatement&, const Place&) { return OkStatus(); }
  Status Bind(PrintStatement& print, const Place& place) { return BindReads(print.value, place); }
  Status Bind(IfStatement& statement, const Place& place) {
    const Place inside{place.scope, true, false};
    for (auto& [test, body] : statement.branches) {
      GRAFT_RETURN_IF_ERROR(BindReads(test, inside));
      GRAFT_RETURN_IF_ERROR(BindBlock(body, inside));
    }
    return BindBlock(statement.otherwise, inside);
  }
  Status Bind(ForStatement& loop, const Place& place);
  Status Bind(SetStatement& set, const Place& place) {
    GRAFT_RETURN_IF_ERROR(BindReads(set.value, place));
    GRAFT_RETURN_IF_ERROR(CheckTarget(set.target));
    BindTarget(set.target, *place.scope);
    return OkStatus();
  }
  Status Bind(CaptureStatement& capture, const Place& place) {
    Scope inner(place.scope, capture.frame);
    inner.CollectBlock(capture.body);
    inner.CollectReads(capture.filter);
    if (capture.target.has_value()) {
      GRAFT_RETURN_IF_ERROR(CheckTarget(*capture.target));
      BindTarget(*capture.target, *place.scope);
    }
    const Place inside{&inner, false, place.always_met};
    GRAFT_RETURN_IF_ERROR(BindBlock(capture.body, inside));
    return BindReads(capture.filter, inside);
  }
  Status Bind(WithStatement& with, const Place& place) {
    Scope inner(place.scope, with.frame);
    for (auto& value : with.values) inner.DeclareTarget(value.first);
    inner.CollectBlock(with.body);
    for (auto& [target, value] : with.values) {
      GRAFT_RETURN_IF_ERROR(BindReads(value, place));
      BindTarget(target, inner);
    }
    return BindBlock(with.body, {&inner, false, place.always_met});
  }
  Status Bind(MacroStatement& macro, const Place& place) {
    macro.reference = place.scope->Find(macro.procedure->name);
    return BindProcedure(*macro.procedure, place, false);
  }
  Status Bind(CallStatement& call, const Place& place) {
    GRAFT_RETURN_IF_ERROR(BindReads(call.call, place));
    return BindProcedure(*call.caller, place, false);
  }
  Status Bind(GenerationStatement& generation, const Place& place) {
    program_.marks_generation = true;
    return BindProcedure(*generation.body, place, place.always_met);
  }

 private:
  Status Fail(size_t at, const std::string& what) const {
    return SyntaxFailure(program_.source, at, what);
  }

  Status BindBlock(Block& block, const Place& place) {
    for (Statement& statement : block) {
      GRAFT_RETURN_IF_ERROR(
          std::visit([&](auto& form) { return Bind(form, place); }, statement.form));
    }
    return OkStatus();
  }

  Status BindProcedure(Procedure& procedure, const Place& place, bool always_met);
  void BindTarget(Target& target, const Scope& scope);
  Status CheckTarget(const Target& target) const;

  Status BindReads(const ExpressionPtr& expression, const Place& place) {
    return expression == nullptr ? OkStatus() : BindExpression(*expression, place);
  }
  Status BindExpression(Expression& expression, Place place);
  Status BindApplication(Application& application, size_t at, const Place& place) const;
  Status CheckCall(const CallExpression& call, const Place& place) const;

  Program& program_;
  int loops_ = 0;
};

Status Binder::Bind(ForStatement& loop, const Place& place) {
  GRAFT_RETURN_IF_ERROR(BindReads(loop.items, place));
  ++loops_;
  Scope body(place.scope, loop.body_frame);
  if (Uses(loop.body, "loop")) loop.loop = body.Declare("loop");
  body.DeclareTarget(loop.target);
  body.CollectBlock(loop.body);
  GRAFT_RETURN_IF_ERROR(CheckTarget(loop.target));
  BindTarget(loop.target, body);
  GRAFT_RETURN_IF_ERROR(BindBlock(loop.body, {&body, false, false}));

  Scope filter(place.scope, loop.filter_frame);
  filter.DeclareTarget(loop.filter_target);
  filter.CollectReads(loop.filter);
  BindTarget(loop.filter_target, filter);
  GRAFT_RETURN_IF_ERROR(BindReads(loop.filter, {&filter, false, false}));

  Scope otherwise(place.scope, loop.otherwise_frame);
  otherwise.CollectBlock(loop.otherwise);
  GRAFT_RETURN_IF_ERROR(BindBlock(loop.otherwise, {&otherwise, false, false}));
  --loops_;
  return OkStatus();
}

Status Binder::BindProcedure(Procedure& procedure, const Place& place, bool always_met) {
  Scope inner(place.scope, procedure.frame);
  for (const auto& parameter : procedure.parameters) inner.Declare(parameter.name);
  const auto declare = [&](const std::string& name) -> std::optional<size_t> {
    for (const auto& parameter : procedure.parameters) {
      if (parameter.name == name) return {};
    }
    if (!Uses(procedure.body, name)) return {};
    return inner.Declare(name);
  };
  for (const auto& parameter : procedure.parameters) inner.CollectReads(parameter.fallback);
  procedure.caller = declare("caller");
  procedure.kwargs = declare("kwargs");
  procedure.varargs = declare("varargs");
  inner.CollectBlock(procedure.body);
  const Place inside{&inner, false, always_met};
  for (const auto& parameter : procedure.parameters)
    GRAFT_RETURN_IF_ERROR(BindReads(parameter.fallback, inside));
  return BindBlock(procedure.body, inside);
}

void Binder::BindTarget(Target& target, const Scope& scope) {
  if (target.what != Target::What::kSeveral) target.reference = scope.Find(target.name);
  for (Target& part : target.parts) BindTarget(part, scope);
}

Status Binder::CheckTarget(const Target& target) const {
  if (target.what == Target::What::kName && target.name == "loop" && loops_ > 0)
    return Fail(target.at, "within a loop nothing can be assigned to `loop`");
  for (const Target& part : target.parts) GRAFT_RETURN_IF_ERROR(CheckTarget(part));
  return OkStatus();
}

Status Binder::BindExpression(Expression& expression, Place place) {
  if (auto* name = std::get_if<Name>(&expression.form); name != nullptr) {
    name->reference = place.scope->Find(name->name);
    if (IsMissingFunction(name->name) && place.scope->IsFromContext(name->name))
      return Fail(expression.at, "the function " + Quoted(name->name) + " isn't built");
  } else if (auto* application = std::get_if<Application>(&expression.form)) {
    GRAFT_RETURN_IF_ERROR(BindApplication(*application, expression.at, place));
  } else if (const auto* call = std::get_if<CallExpression>(&expression.form)) {
    if (const Status status = CheckCall(*call, place); !status.ok()) {
      return Fail(call->callee->at, status.message());
    }
  } else if (std::holds_alternative<Conditional>(expression.form)) {
    place.in_if = true;
    place.always_met = false;
  } else if (std::holds_alternative<Logical>(expression.form)) {
    place.always_met = false;
  }
  Status status;
  ForEachPart(expression, [&](Expression& part) {
    if (status.ok()) status = BindExpression(part, place);
  });
  return status;
}

Status Binder::BindApplication(Application& application, size_t at, const Place& place) const {
  const bool is_filter = application.what == Application::What::kFilter;
  const std::string& name = application.name;
  application.native = is_filter ? FindFilter(name) : FindTest(name);
  if (application.native != nullptr) return OkStatus();
  const std::string what = (is_filter ? "filter " : "test ") + Quoted(name);
  if (is_filter ? IsMissingFilter(name) : IsMissingTest(name))
    return Fail(at, "the " + what + " isn't built");
  return place.in_if ? OkStatus() : Fail(at, "there is no " + what);
}

Status Binder::CheckCall(const CallExpression& call, const Place& place) const {
  if (const Name* name = call.callee->If<Name>(); name != nullptr) {
    // Callable is what the template itself defines, and the functions.
    const bool is_unknown = place.scope->IsFromContext(name->name) &&
                            FindFunction(name->name) == nullptr && !IsMissingFunction(name->name);
    if (is_unknown && place.always_met)
      return InvalidArgumentError("there is no function " + Quoted(name->name));
  } else if (const auto* access = call.callee->If<AttributeAccess>(); access != nullptr) {
    if (IsMissingMethod(access->name))
      return InvalidArgumentError("the method " + Quoted(access->name) + " isn't built");
    // What the template itself puts into a namespace or dict it has to name twice.
    const auto is_named_once = [&] {
      const size_t first = Find(program_.source, access->name);
      return Find(program_.source, access->name, first + 1) == std::string::npos;
    };
    if (place.always_met && !IsMethodName(access->name) && is_named_once())
      return InvalidArgumentError("there is no method " + Quoted(access->name));
  }
  return OkStatus();
}

}  // namespace

Status BindNames(Program& program) { return Binder(program).Run(); }

}  // namespace graft::templates
