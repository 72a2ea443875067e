#include "common/templates/syntax/ast.h"

namespace graft::templates {
namespace {

using Visit = std::function<void(Expression&)>;

class Parts {
 public:
  explicit Parts(const Visit& visit) : visit_(visit) {}

  void operator()(Constant&) {}
  void operator()(Name&) {}
  void operator()(AttributeAccess& access) { See(access.object); }
  void operator()(ItemAccess& access) {
    See(access.object);
    See(access.key);
  }
  void operator()(SliceAccess& access) {
    See(access.object);
    See(access.start);
    See(access.stop);
    See(access.step);
  }
  void operator()(CallExpression& call) {
    See(call.callee);
    See(call.arguments);
  }
  void operator()(Application& application) {
    See(application.input);
    See(application.arguments);
  }
  void operator()(Unary& unary) { See(unary.operand); }
  void operator()(Arithmetic& binary) {
    See(binary.left);
    See(binary.right);
  }
  void operator()(Logical& binary) {
    See(binary.left);
    See(binary.right);
  }
  void operator()(Comparisons& comparisons) {
    See(comparisons.first);
    for (auto& part : comparisons.rest) See(part.second);
  }
  void operator()(Concatenation& concatenation) {
    for (auto& part : concatenation.parts) See(part);
  }
  void operator()(Conditional& conditional) {
    See(conditional.value);
    See(conditional.test);
    See(conditional.otherwise);
  }
  void operator()(SequenceLiteral& literal) {
    for (auto& item : literal.items) See(item);
  }
  void operator()(DictLiteral& literal) {
    for (auto& [key, value] : literal.items) {
      See(key);
      See(value);
    }
  }

 private:
  void See(const ExpressionPtr& part) {
    if (part != nullptr) visit_(*part);
  }
  void See(CallArguments& arguments) {
    for (auto& argument : arguments.positional) See(argument);
    for (auto& argument : arguments.named) See(argument.second);
    See(arguments.more_positional);
    See(arguments.more_named);
  }

  const Visit& visit_;
};

}  // namespace

void ForEachPart(Expression& expression, const Visit& visit) {
  std::visit(Parts(visit), expression.form);
}

}  // namespace graft::templates
