#include "common/templates/syntax/uses.h"

namespace graft::templates {
namespace {

class Search {
 public:
  explicit Search(std::string_view name) : name_(name) {}

  bool is_read() const { return is_read_; }

  void See(const Block& block) {
    for (const Statement& statement : block) std::visit(*this, statement.form);
  }

  void operator()(const TextStatement&) {}
  void operator()(const BreakStatement&) {}
  void operator()(const ContinueStatement&) {}
  void operator()(const PrintStatement& print) { See(print.value); }
  void operator()(const IfStatement& statement) {
    for (const auto& [test, body] : statement.branches) {
      See(test);
      See(body);
    }
    See(statement.otherwise);
  }
  void operator()(const ForStatement& loop) {
    See(loop.target);
    See(loop.items);
    See(loop.body);
    See(loop.otherwise);
    See(loop.filter);
  }
  void operator()(const SetStatement& set) {
    See(set.target);
    See(set.value);
  }
  void operator()(const CaptureStatement& capture) {
    if (capture.target.has_value()) See(*capture.target);
    See(capture.filter);
    See(capture.body);
  }
  void operator()(const WithStatement& with) {
    for (const auto& value : with.values) See(value.first);
    for (const auto& value : with.values) See(value.second);
    See(with.body);
  }
  void operator()(const MacroStatement& macro) { See(*macro.procedure); }
  void operator()(const CallStatement& call) {
    See(call.call);
    See(*call.caller);
  }
  void operator()(const GenerationStatement& generation) { See(*generation.body); }

 private:
  void See(const Procedure& procedure) {
    for (const auto& parameter : procedure.parameters) Write(parameter.name);
    for (const auto& parameter : procedure.parameters) See(parameter.fallback);
    See(procedure.body);
  }
  void See(const Target& target) {
    if (target.what == Target::What::kName) Write(target.name);
    for (const Target& part : target.parts) See(part);
  }
  void See(const ExpressionPtr& expression) {
    if (expression == nullptr) return;
    const std::function<void(Expression&)> visit = [&](Expression& part) {
      const Name* name = part.If<Name>();
      if (name != nullptr && name->name == name_ && !is_written_) is_read_ = true;
      ForEachPart(part, visit);
    };
    visit(*expression);
  }
  void Write(std::string_view name) { is_written_ = is_written_ || name == name_; }

  const std::string_view name_;
  bool is_read_ = false;
  bool is_written_ = false;
};

}  // namespace

bool Uses(const Block& block, std::string_view name) {
  Search search(name);
  search.See(block);
  return search.is_read();
}

}  // namespace graft::templates
