#pragma once
/// Renders a bound program. Thread safety: confined to one rendering; the program is only read.

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/templates/evaluation/frame.h"
#include "common/templates/library/native.h"
#include "common/templates/syntax/ast.h"

namespace graft::templates {

/// Bytes [begin, end) of a text.
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct Evaluated {
  std::string text;
  std::vector<ByteRange> generated;  ///< What {% generation %} blocks wrote.
  /// A {% generation %} stood in a macro, a set or filter block or another one, where what it
  /// writes has no place in the text yet.
  bool has_hidden_generation = false;
};

class Evaluator {
 public:
  /// Borrows all; `session` is of this rendering alone.
  Evaluator(const Program& program, Session& session, const Dict& context)
      : program_(program), session_(session), context_(context) {}
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  /// Errors: Failure, with line and column, for what the template can't do; LimitFailure.
  StatusOr<Evaluated> Run();

 private:
  enum class Flow { kNext, kBreak, kContinue };

  /// Registers a frame while it lives.
  class Alive;
  /// Collects what is written while it lives.
  class Capture;
  /// Counts a level of evaluation.
  class Level;

  // statements.cc
  StatusOr<Flow> Execute(const Block& block, Frame& frame);
  StatusOr<Flow> Do(const TextStatement& text, Frame& frame);
  StatusOr<Flow> Do(const PrintStatement& print, Frame& frame);
  StatusOr<Flow> Do(const IfStatement& statement, Frame& frame);
  StatusOr<Flow> Do(const ForStatement& loop, Frame& frame);
  StatusOr<Flow> Do(const SetStatement& set, Frame& frame);
  StatusOr<Flow> Do(const CaptureStatement& capture, Frame& frame);
  StatusOr<Flow> Do(const WithStatement& with, Frame& frame);
  StatusOr<Flow> Do(const MacroStatement& macro, Frame& frame);
  StatusOr<Flow> Do(const CallStatement& call, Frame& frame);
  StatusOr<Flow> Do(const GenerationStatement& generation, Frame& frame);
  StatusOr<Flow> Do(const BreakStatement&, Frame&) { return Flow::kBreak; }
  StatusOr<Flow> Do(const ContinueStatement&, Frame&) { return Flow::kContinue; }
  Status Assign(const Target& target, Value value, Frame& frame);

  // loops.cc
  class LoopRun;

  // expressions.cc
  StatusOr<Value> Evaluate(const Expression& expression, Frame& frame);
  StatusOr<Value> Get(const Constant& constant, Frame&) { return constant.value; }
  StatusOr<Value> Get(const Name& name, Frame& frame);
  StatusOr<Value> Get(const AttributeAccess& access, Frame& frame);
  StatusOr<Value> Get(const ItemAccess& access, Frame& frame);
  StatusOr<Value> Get(const SliceAccess& access, Frame& frame);
  StatusOr<Value> Get(const CallExpression& call, Frame& frame);
  StatusOr<Value> Get(const Application& application, Frame& frame);
  StatusOr<Value> Get(const Unary& unary, Frame& frame);
  StatusOr<Value> Get(const Arithmetic& binary, Frame& frame);
  StatusOr<Value> Get(const Logical& binary, Frame& frame);
  StatusOr<Value> Get(const Comparisons& comparisons, Frame& frame);
  StatusOr<Value> Get(const Concatenation& concatenation, Frame& frame);
  StatusOr<Value> Get(const Conditional& conditional, Frame& frame);
  StatusOr<Value> Get(const SequenceLiteral& literal, Frame& frame);
  StatusOr<Value> Get(const DictLiteral& literal, Frame& frame);
  StatusOr<bool> Holds(Comparisons::Sign sign, const Value& left, const Value& right);
  StatusOr<std::optional<int64_t>> Bound(const ExpressionPtr& expression, Frame& frame);

  // calls.cc
  StatusOr<Arguments> EvaluateArguments(const CallArguments& from, Frame& frame);
  StatusOr<Value> CallValue(const Value& callee, Arguments arguments);
  StatusOr<Value> CallMacro(const Callable& macro, Arguments arguments);
  Status TakeParameters(const Procedure& procedure, Arguments arguments, Frame& frame);
  /// Fills what was not given, then writes the body.
  Status WriteProcedure(const Procedure& procedure, Frame& frame);
  Value MacroValue(const std::shared_ptr<Procedure>& procedure, const Frame& frame) const;

  /// Fills the slots of a frame that isn't a procedure's, and those that aren't parameters.
  Status Enter(const FrameLayout& layout, Frame& frame);
  Value FromContext(const std::string& name);
  Status Write(std::string_view text);
  /// What a filter or call block comes to. Errors: Failure if it is no text.
  Status WriteResult(const Value& value);
  /// Puts line and column in front of an error that has none yet.
  Status Located(size_t at, Status status);

  const Program& program_;
  Session& session_;
  const Dict& context_;
  std::vector<const Frame*> frames_;
  uint64_t last_serial_ = 0;
  std::map<const Native*, Value> functions_;
  std::vector<TextBuilder*> captures_;
  std::vector<Value> captured_;  ///< Texts of blocks whose filters are being applied.
  Evaluated out_;
  int generations_ = 0;  ///< Those around this place.
  int levels_ = 0;
  bool is_located_ = false;
};

class Evaluator::Alive {
 public:
  Alive(Evaluator& evaluator, Frame& frame) : evaluator_(evaluator) {
    frame.index = evaluator_.frames_.size();
    frame.serial = ++evaluator_.last_serial_;
    evaluator_.frames_.push_back(&frame);
  }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  ~Alive() { evaluator_.frames_.pop_back(); }

 private:
  Evaluator& evaluator_;
};

class Evaluator::Capture {
 public:
  explicit Capture(Evaluator& evaluator) : evaluator_(evaluator), text_(evaluator.session_) {
    evaluator_.captures_.push_back(&text_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() { evaluator_.captures_.pop_back(); }
  StatusOr<Value> Finish() { return text_.Finish(); }

 private:
  Evaluator& evaluator_;
  TextBuilder text_;
};

class Evaluator::Level {
 public:
  explicit Level(Evaluator& evaluator) : evaluator_(evaluator) { ++evaluator_.levels_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
  ~Level() { --evaluator_.levels_; }
  /// Pays for one step. Errors: LimitFailure, also if there are too many levels.
  Status Begin() const;

 private:
  Evaluator& evaluator_;
};

}  // namespace graft::templates
