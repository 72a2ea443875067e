#pragma once
/// Tokens to statements: the grammar of jinja2 with loop controls and {% generation %}.
/// Thread safety: confined to one parse.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/templates/limits.h"
#include "common/templates/syntax/ast.h"
#include "common/templates/syntax/lexer.h"

namespace graft::templates {

/// Errors: InvalidArgument with line, column and what is wrong there, also for statements that
/// aren't built (block, extends, include, import, from, autoescape, recursive loops). Names are not
/// bound yet.
StatusOr<Program> ParseTemplate(std::string_view source, const Limits& limits);

class Parser {
 public:
  /// Arguments of one call, and parameters of one macro.
  static constexpr size_t kMaxArguments = 255;

  /// Borrows `source`, normalized, of which `tokens` are.
  Parser(std::string_view source, std::vector<Token> tokens, const Limits& limits)
      : source_(source), tokens_(std::move(tokens)), max_nesting_(limits.max_nesting) {}

  /// Everything, to the end.
  StatusOr<Block> ParseAll();

 private:
  /// What a block of statements ends at.
  using Ends = std::vector<std::string_view>;

  // parse_statements.cc
  /// Up to a statement that begins with one of `ends`, whose name is then the next token.
  StatusOr<Block> ParseBlock(const Ends& ends);
  /// The same for the body of a statement: takes the statement's own end first.
  StatusOr<Block> ParseBody(const Ends& ends);
  StatusOr<Statement> ParseStatement();
  StatusOr<Statement::Form> ParseNamed(const Token& name);
  StatusOr<Statement::Form> ParseIf();
  StatusOr<Statement::Form> ParseFor();
  StatusOr<Statement::Form> ParseSet();
  StatusOr<Statement::Form> ParseFilterBlock();
  StatusOr<Statement::Form> ParseWith();
  StatusOr<Statement::Form> ParseMacro();
  StatusOr<Statement::Form> ParseCallBlock();
  StatusOr<Statement::Form> ParseGeneration();
  Status ParseParameters(Procedure& procedure);
  Status ParseProcedureBody(Procedure& procedure, std::string_view end);
  StatusOr<Target> ParseTarget(bool may_be_attribute, bool ends_at_in);
  StatusOr<Target> ParseTargetPart(bool may_be_attribute);
  StatusOr<Target> TargetOf(const Expression& expression);

  // parse_expressions.cc
  struct TupleStyle {
    bool conditionals = true;        ///< `x if y` may stand in it.
    bool may_be_empty = false;       ///< Between parentheses.
    bool ends_at_recursive = false;  ///< The word, of a loop.
  };
  StatusOr<ExpressionPtr> ParseTuple(const TupleStyle& style);
  StatusOr<ExpressionPtr> ParseExpression();
  StatusOr<ExpressionPtr> ParseOr();
  StatusOr<ExpressionPtr> ParseAnd();
  StatusOr<ExpressionPtr> ParseNot();
  StatusOr<ExpressionPtr> ParseComparison();
  StatusOr<ExpressionPtr> ParseSum();
  StatusOr<ExpressionPtr> ParseConcatenation();
  StatusOr<ExpressionPtr> ParseProduct();
  StatusOr<ExpressionPtr> ParsePower();
  StatusOr<ExpressionPtr> ParseUnary(bool with_filters);
  StatusOr<ExpressionPtr> ParsePrimary();
  StatusOr<ExpressionPtr> ParseList();
  StatusOr<ExpressionPtr> ParseDict();

  // parse_postfix.cc
  StatusOr<ExpressionPtr> ParsePostfix(ExpressionPtr value);
  StatusOr<ExpressionPtr> ParseFiltersAndTests(ExpressionPtr value);
  StatusOr<ExpressionPtr> ParseSubscript(ExpressionPtr value);
  StatusOr<ExpressionPtr> ParseBrackets(ExpressionPtr value, size_t at);
  StatusOr<ExpressionPtr> ParseCall(ExpressionPtr callee);
  StatusOr<CallArguments> ParseArguments();
  Status ParseArgument(CallArguments& arguments, size_t at);
  /// A filter behind its "|". `input` is null for what a block captured.
  StatusOr<ExpressionPtr> ParseFilter(ExpressionPtr input);
  StatusOr<ExpressionPtr> ParseTest(ExpressionPtr input);

  const Token& Next() const { return tokens_[at_]; }
  const Token& After() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& Take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool TakeName(std::string_view word);
  bool TakeOperator(std::string_view sign);
  Status ExpectOperator(std::string_view sign);
  Status Expect(Token::Kind kind, std::string_view what);
  StatusOr<std::string> ExpectName(std::string_view what);
  Status Fail(size_t at, const std::string& what) const;
  Status FailAtNext(const std::string& expected) const;

  /// Counts a level of the parser's own recursion for as long as it lives.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) { ++parser_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() { --parser_.level_; }
    Status Check() const { return parser_.CheckLevel(parser_.level_); }

   private:
    Parser& parser_;
  };
  Status CheckLevel(int levels) const;
  /// Errors: InvalidArgument if it has too many levels.
  StatusOr<ExpressionPtr> Make(size_t at, Expression::Form form) const;

  const std::string_view source_;
  const std::vector<Token> tokens_;
  const int max_nesting_;
  size_t at_ = 0;
  int level_ = 0;
  /// Loops around this place within one macro or program: break and continue need one.
  int loops_ = 0;
};

}  // namespace graft::templates
