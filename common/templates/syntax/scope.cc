#include "common/templates/syntax/scope.h"

namespace graft::templates {

std::optional<Reference> Scope::Look(const std::string& name) const {
  size_t hops = 0;
  for (const Scope* scope = this; scope != nullptr; scope = scope->outer_, ++hops) {
    const auto found = scope->slots_.find(name);
    if (found != scope->slots_.end()) return Reference{hops, found->second};
  }
  return {};
}

Reference Scope::Find(const std::string& name) const { return Look(name).value(); }

bool Scope::IsFromContext(const std::string& name) const {
  const Scope* scope = this;
  const Reference reference = Find(name);
  for (size_t hop = 0; hop < reference.hops; ++hop) scope = scope->outer_;
  return scope->layout_.loads[reference.slot].from == Load::From::kContext;
}

Load Scope::Outside(const std::string& name) const {
  if (outer_ != nullptr) {
    if (const auto reference = outer_->Look(name); reference.has_value())
      return {Load::From::kOuter, name, *reference};
  }
  return {Load::From::kContext, name, {}};
}

void Scope::Read(const std::string& name) {
  if (Look(name).has_value()) return;
  slots_.emplace(name, layout_.loads.size());
  layout_.loads.push_back({Load::From::kContext, name, {}});
}

void Scope::NoteWrite(const std::string& name) {
  if (written_.insert(name).second) writes_.push_back(name);
}

void Scope::Write(const std::string& name) {
  NoteWrite(name);
  if (!slots_.emplace(name, layout_.loads.size()).second) return;
  Load load = Outside(name);
  if (load.from == Load::From::kContext) load.from = Load::From::kNowhere;
  layout_.loads.push_back(std::move(load));
}

size_t Scope::Declare(const std::string& name) {
  NoteWrite(name);
  const auto [slot, is_new] = slots_.emplace(name, layout_.loads.size());
  if (is_new) layout_.loads.emplace_back();
  layout_.loads[slot->second] = {Load::From::kParameter, name, {}};
  return slot->second;
}

void Scope::DeclareTarget(const Target& target) {
  if (target.what == Target::What::kName) Declare(target.name);
  for (const Target& part : target.parts) DeclareTarget(part);
}

void Scope::CollectTarget(const Target& target) {
  if (target.what == Target::What::kName) Write(target.name);
  if (target.what == Target::What::kAttribute) Read(target.name);
  for (const Target& part : target.parts) CollectTarget(part);
}

void Scope::CollectReads(const ExpressionPtr& expression) {
  if (expression == nullptr) return;
  const std::function<void(Expression&)> visit = [&](Expression& part) {
    if (const Name* name = part.If<Name>(); name != nullptr) Read(name->name);
    ForEachPart(part, visit);
  };
  visit(*expression);
}

void Scope::CollectBlock(const Block& block) {
  for (const Statement& statement : block) CollectStatement(statement);
}

/// The bodies of inner frames are theirs; what is evaluated before they are entered is this one's.
void Scope::CollectStatement(const Statement& statement) {
  if (const auto* print = std::get_if<PrintStatement>(&statement.form)) {
    CollectReads(print->value);
  } else if (const auto* branches = std::get_if<IfStatement>(&statement.form)) {
    CollectIf(*branches);
  } else if (const auto* loop = std::get_if<ForStatement>(&statement.form)) {
    CollectReads(loop->items);
  } else if (const auto* set = std::get_if<SetStatement>(&statement.form)) {
    CollectReads(set->value);
    CollectTarget(set->target);
  } else if (const auto* capture = std::get_if<CaptureStatement>(&statement.form)) {
    if (capture->target.has_value()) {
      CollectTarget(*capture->target);
    } else {
      CollectReads(capture->filter);
    }
  } else if (const auto* with = std::get_if<WithStatement>(&statement.form)) {
    for (const auto& value : with->values) CollectReads(value.second);
  } else if (const auto* macro = std::get_if<MacroStatement>(&statement.form)) {
    Write(macro->procedure->name);
  } else if (const auto* call = std::get_if<CallStatement>(&statement.form)) {
    CollectReads(call->call);
  }
}

/// What a branch writes may not have been written behind the `if`, so it starts with what is
/// outside.
void Scope::CollectIf(const IfStatement& statement) {
  const size_t before = writes_.size();
  for (const auto& [test, body] : statement.branches) {
    CollectReads(test);
    CollectBlock(body);
  }
  CollectBlock(statement.otherwise);
  for (size_t i = before; i < writes_.size(); ++i)
    layout_.loads[slots_.at(writes_[i])] = Outside(writes_[i]);
}

}  // namespace graft::templates
