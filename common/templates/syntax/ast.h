#pragma once
/// A parsed template: statements and the expressions in them. Made by the parser, completed by
/// BindNames, constant from then on. Every node knows the byte of the source that it began at.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/templates/library/native.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/value.h"

namespace graft::templates {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

/// Where a name's value is: `hops` frames outwards, at `slot`.
struct Reference {
  size_t hops = 0;
  size_t slot = 0;
};

// --- Expressions -----------------------------------------------------------------------------

struct Constant {
  Value value;
};
struct Name {
  std::string name;
  Reference reference = {};
};
struct AttributeAccess {
  ExpressionPtr object;
  std::string name;
};
struct ItemAccess {
  ExpressionPtr object;
  ExpressionPtr key;
};
struct SliceAccess {
  ExpressionPtr object;
  ExpressionPtr start, stop, step;  ///< Null where left out.
};
struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional;  ///< *values, or null.
  ExpressionPtr more_named;       ///< **values, or null.
};
struct CallExpression {
  ExpressionPtr callee;
  CallArguments arguments;
};
/// A filter or a test.
struct Application {
  enum class What { kFilter, kTest };
  What what;
  ExpressionPtr input;  ///< Null for the text that a block around it captured.
  std::string name;
  CallArguments arguments;
  const Native* native = nullptr;  ///< Null if there is none; BindNames has let it pass.
};
struct Unary {
  enum class Sign { kNot, kMinus, kPlus };
  Sign sign;
  ExpressionPtr operand;
};
struct Arithmetic {
  Operator op;
  ExpressionPtr left, right;
};
/// `and` or `or`: one of its operands.
struct Logical {
  bool is_and;
  ExpressionPtr left, right;
};
/// a < b <= c: each part holds, and each operand is evaluated once.
struct Comparisons {
  enum class Sign { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
  ExpressionPtr first;
  std::vector<std::pair<Sign, ExpressionPtr>> rest;
};
/// a ~ b
struct Concatenation {
  std::vector<ExpressionPtr> parts;
};
/// value if test else otherwise
struct Conditional {
  ExpressionPtr test, value;
  ExpressionPtr otherwise;  ///< Null if left out: undefined.
};
struct SequenceLiteral {
  Sequence::Form form;  ///< A list or a tuple.
  std::vector<ExpressionPtr> items;
};
struct DictLiteral {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
};

struct Expression {
  using Form = std::variant<Constant, Name, AttributeAccess, ItemAccess, SliceAccess,
                            CallExpression, Application, Unary, Arithmetic, Logical, Comparisons,
                            Concatenation, Conditional, SequenceLiteral, DictLiteral>;
  size_t at = 0;
  int height = 1;  ///< Levels of expressions, this one included.
  Form form;

  template <typename T>
  const T* If() const {
    return std::get_if<T>(&form);
  }
};

/// Calls `visit` with each direct part of `expression`, in the order of the source.
void ForEachPart(Expression& expression, const std::function<void(Expression&)>& visit);

// --- Statements ------------------------------------------------------------------------------

struct Statement;
using Block = std::vector<Statement>;

/// What a frame's slots hold when it is entered. Source: jinja2's rules of scoping, which are those
/// of the Python functions that it writes.
struct Load {
  enum class From {
    kNowhere,    ///< Missing until something is put there.
    kParameter,  ///< Whoever enters the frame puts it there.
    kContext,    ///< The variable of that name that the rendering was given, or a function.
    kOuter       ///< A copy of what an outer frame has.
  };
  From from = From::kNowhere;
  std::string name;
  Reference outer = {};
};
struct FrameLayout {
  std::vector<Load> loads;  ///< One a slot.
};

/// What something is assigned to: a name, an attribute of a namespace, or several of them.
struct Target {
  enum class What { kName, kAttribute, kSeveral };
  What what = What::kName;
  size_t at = 0;
  std::string name;
  std::string attribute;
  Reference reference = {};  ///< Of the name.
  std::vector<Target> parts;
};

/// A macro, or the body of a block that is called like one.
struct Procedure {
  struct Parameter {
    std::string name;
    ExpressionPtr fallback;  ///< Null if it has none.
  };
  std::string name;
  std::vector<Parameter> parameters;  ///< The first slots of its frame.
  Block body;
  FrameLayout frame;
  std::optional<size_t> caller, kwargs, varargs;  ///< Their slots, if the body uses them.
};

struct TextStatement {
  std::string text;
};
struct PrintStatement {
  ExpressionPtr value;
};
struct IfStatement {
  std::vector<std::pair<ExpressionPtr, Block>> branches;
  Block otherwise;
};
struct ForStatement {
  Target target;
  ExpressionPtr items;
  ExpressionPtr filter;  ///< Null if there is none.
  Target filter_target;  ///< `target` in the filter's own frame.
  Block body, otherwise;
  FrameLayout body_frame, filter_frame, otherwise_frame;
  std::optional<size_t> loop;  ///< The slot of `loop`, if the body uses it.
};
struct SetStatement {
  Target target;
  ExpressionPtr value;
};
/// {% set x %}...{% endset %}, {% filter f %}...{% endfilter %}
struct CaptureStatement {
  std::optional<Target> target;  ///< Nothing: what comes out is printed.
  ExpressionPtr filter;          ///< Null if there is none.
  Block body;
  FrameLayout frame;
};
struct WithStatement {
  std::vector<std::pair<Target, ExpressionPtr>> values;
  Block body;
  FrameLayout frame;
};
struct MacroStatement {
  std::shared_ptr<Procedure> procedure;
  Reference reference = {};
};
struct CallStatement {
  std::shared_ptr<Procedure> caller;
  ExpressionPtr call;
};
/// {% generation %}
struct GenerationStatement {
  std::shared_ptr<Procedure> body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
  using Form = std::variant<TextStatement, PrintStatement, IfStatement, ForStatement, SetStatement,
                            CaptureStatement, WithStatement, MacroStatement, CallStatement,
                            GenerationStatement, BreakStatement, ContinueStatement>;
  size_t at = 0;
  Form form;
};

struct Program {
  std::string source;  ///< Normalized.
  Block body;
  FrameLayout frame;
  bool marks_generation = false;  ///< There is a {% generation %} somewhere.
};

}  // namespace graft::templates
