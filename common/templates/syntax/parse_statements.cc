#include <algorithm>

#include "common/base/utf8.h"
#include "common/templates/syntax/parser.h"
#include "common/templates/syntax/source.h"

namespace graft::templates {

using Kind = Token::Kind;

StatusOr<Block> Parser::ParseAll() {
  GRAFT_ASSIGN_OR_RETURN(Block block, ParseBlock({}));
  return block;
}

StatusOr<Block> Parser::ParseBlock(const Ends& ends) {
  const Level level(*this);
  GRAFT_RETURN_IF_ERROR(level.Check());
  const size_t begin = Next().at;
  Block block;
  while (Next().kind != Kind::kEnd) {
    const Token& token = Take();
    if (token.kind == Kind::kText) {
      block.push_back({token.at, TextStatement{token.text}});
    } else if (token.kind == Kind::kPrintBegin) {
      GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseTuple({}));
      block.push_back({token.at, PrintStatement{std::move(value)}});
      GRAFT_RETURN_IF_ERROR(Expect(Kind::kPrintEnd, "}}"));
    } else {
      if (Next().kind == Kind::kName &&
          std::find(ends.begin(), ends.end(), Next().text) != ends.end())
        return block;
      GRAFT_ASSIGN_OR_RETURN(Statement statement, ParseStatement());
      block.push_back(std::move(statement));
      GRAFT_RETURN_IF_ERROR(Expect(Kind::kStatementEnd, "%}"));
    }
  }
  if (ends.empty()) return block;
  return Fail(begin, "the block that begins here has no {% " + std::string(ends.back()) + " %}");
}

StatusOr<Block> Parser::ParseBody(const Ends& ends) {
  TakeOperator(":");
  GRAFT_RETURN_IF_ERROR(Expect(Kind::kStatementEnd, "%}"));
  return ParseBlock(ends);
}

StatusOr<Statement> Parser::ParseStatement() {
  const Token& name = Next();
  if (name.kind != Kind::kName) return FailAtNext("a statement's name");
  Take();
  GRAFT_ASSIGN_OR_RETURN(Statement::Form form, ParseNamed(name));
  return Statement{name.at, std::move(form)};
}

StatusOr<Statement::Form> Parser::ParseNamed(const Token& name) {
  const std::string& word = name.text;
  if (word == "if") return ParseIf();
  if (word == "for") return ParseFor();
  if (word == "set") return ParseSet();
  if (word == "filter") return ParseFilterBlock();
  if (word == "with") return ParseWith();
  if (word == "macro") return ParseMacro();
  if (word == "call") return ParseCallBlock();
  if (word == "generation") return ParseGeneration();
  if (word == "break" || word == "continue") {
    if (loops_ == 0) return Fail(name.at, "{% " + word + " %} stands in no loop");
    if (word == "break") return Statement::Form(BreakStatement());
    return Statement::Form(ContinueStatement());
  }
  constexpr std::string_view kMissing[] = {"autoescape", "block",   "extends", "from",
                                           "import",     "include", "print"};
  const bool is_missing =
      std::find(std::begin(kMissing), std::end(kMissing), word) != std::end(kMissing);
  if (is_missing) return Fail(name.at, "the statement " + Quoted(word) + " isn't built");
  return Fail(name.at, "there is no statement " + Quoted(word) + ", or nothing that it could end");
}

StatusOr<Statement::Form> Parser::ParseIf() {
  IfStatement statement;
  for (std::string end = "elif"; end == "elif";) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr test, ParseTuple({.conditionals = false}));
    GRAFT_ASSIGN_OR_RETURN(Block body, ParseBody({"elif", "else", "endif"}));
    statement.branches.emplace_back(std::move(test), std::move(body));
    end = Take().text;
    if (end != "else") continue;
    GRAFT_ASSIGN_OR_RETURN(statement.otherwise, ParseBody({"endif"}));
    Take();
  }
  return Statement::Form(std::move(statement));
}

StatusOr<Statement::Form> Parser::ParseFor() {
  ForStatement loop;
  GRAFT_ASSIGN_OR_RETURN(loop.target, ParseTarget(false, true));
  if (!TakeName("in")) return FailAtNext("\"in\"");
  GRAFT_ASSIGN_OR_RETURN(loop.items,
                         ParseTuple({.conditionals = false, .ends_at_recursive = true}));
  if (TakeName("if")) {
    GRAFT_ASSIGN_OR_RETURN(loop.filter, ParseExpression());
    loop.filter_target = loop.target;
  }
  if (Next().IsName("recursive")) return Fail(Next().at, "recursive loops aren't built");
  ++loops_;
  GRAFT_ASSIGN_OR_RETURN(loop.body, ParseBody({"else", "endfor"}));
  --loops_;
  if (Take().text == "else") {
    GRAFT_ASSIGN_OR_RETURN(loop.otherwise, ParseBody({"endfor"}));
    Take();
  }
  return Statement::Form(std::move(loop));
}

StatusOr<Statement::Form> Parser::ParseSet() {
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(Target target, ParseTarget(true, false));
  if (TakeOperator("=")) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseTuple({}));
    return Statement::Form(SetStatement{std::move(target), std::move(value)});
  }
  if (target.what == Target::What::kSeveral)
    return Fail(at, "a {% set %} with a body sets one name");
  CaptureStatement capture;
  capture.target = std::move(target);
  while (TakeOperator("|")) {
    GRAFT_ASSIGN_OR_RETURN(capture.filter, ParseFilter(std::move(capture.filter)));
  }
  GRAFT_ASSIGN_OR_RETURN(capture.body, ParseBody({"endset"}));
  Take();
  return Statement::Form(std::move(capture));
}

StatusOr<Statement::Form> Parser::ParseFilterBlock() {
  CaptureStatement capture;
  do {
    GRAFT_ASSIGN_OR_RETURN(capture.filter, ParseFilter(std::move(capture.filter)));
  } while (TakeOperator("|"));
  GRAFT_ASSIGN_OR_RETURN(capture.body, ParseBody({"endfilter"}));
  Take();
  return Statement::Form(std::move(capture));
}

StatusOr<Statement::Form> Parser::ParseWith() {
  WithStatement with;
  while (Next().kind != Kind::kStatementEnd) {
    if (!with.values.empty()) GRAFT_RETURN_IF_ERROR(ExpectOperator(","));
    GRAFT_ASSIGN_OR_RETURN(Target target, ParseTargetPart(false));
    GRAFT_RETURN_IF_ERROR(ExpectOperator("="));
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
    with.values.emplace_back(std::move(target), std::move(value));
  }
  GRAFT_ASSIGN_OR_RETURN(with.body, ParseBody({"endwith"}));
  Take();
  return Statement::Form(std::move(with));
}

Status Parser::ParseParameters(Procedure& procedure) {
  GRAFT_RETURN_IF_ERROR(ExpectOperator("("));
  while (!Next().IsOperator(")")) {
    if (!procedure.parameters.empty()) GRAFT_RETURN_IF_ERROR(ExpectOperator(","));
    const size_t at = Next().at;
    GRAFT_ASSIGN_OR_RETURN(std::string name, ExpectName("a parameter's name"));
    if (name == "caller") return Fail(at, "a parameter named caller isn't built");
    if (procedure.parameters.size() == kMaxArguments)
      return Fail(at, "a macro has at most " + std::to_string(kMaxArguments) + " parameters");
    for (const auto& parameter : procedure.parameters) {
      if (parameter.name == name) return Fail(at, "two parameters have the name " + Quoted(name));
    }
    ExpressionPtr fallback;
    if (TakeOperator("=")) {
      GRAFT_ASSIGN_OR_RETURN(fallback, ParseExpression());
    } else if (!procedure.parameters.empty() && procedure.parameters.back().fallback != nullptr) {
      return Fail(at, "a parameter without a default stands behind one that has one");
    }
    procedure.parameters.push_back({std::move(name), std::move(fallback)});
  }
  return ExpectOperator(")");
}

Status Parser::ParseProcedureBody(Procedure& procedure, std::string_view end) {
  const int loops = std::exchange(loops_, 0);
  GRAFT_ASSIGN_OR_RETURN(procedure.body, ParseBody({end}));
  loops_ = loops;
  Take();
  return OkStatus();
}

StatusOr<Statement::Form> Parser::ParseMacro() {
  auto procedure = std::make_shared<Procedure>();
  GRAFT_ASSIGN_OR_RETURN(procedure->name, ExpectName("a macro's name"));
  GRAFT_RETURN_IF_ERROR(ParseParameters(*procedure));
  GRAFT_RETURN_IF_ERROR(ParseProcedureBody(*procedure, "endmacro"));
  return Statement::Form(MacroStatement{std::move(procedure)});
}

StatusOr<Statement::Form> Parser::ParseCallBlock() {
  auto procedure = std::make_shared<Procedure>();
  procedure->name = "caller";
  if (Next().IsOperator("(")) GRAFT_RETURN_IF_ERROR(ParseParameters(*procedure));
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr call, ParseExpression());
  if (call->If<CallExpression>() == nullptr) return Fail(at, "here should be a call of a macro");
  GRAFT_RETURN_IF_ERROR(ParseProcedureBody(*procedure, "endcall"));
  return Statement::Form(CallStatement{std::move(procedure), std::move(call)});
}

StatusOr<Statement::Form> Parser::ParseGeneration() {
  auto procedure = std::make_shared<Procedure>();
  procedure->name = "generation";
  GRAFT_RETURN_IF_ERROR(ParseProcedureBody(*procedure, "endgeneration"));
  return Statement::Form(GenerationStatement{std::move(procedure)});
}

StatusOr<Target> Parser::ParseTarget(bool may_be_attribute, bool ends_at_in) {
  Target several;
  several.what = Target::What::kSeveral;
  several.at = Next().at;
  bool has_comma = false;
  while (Next().kind != Kind::kStatementEnd && !(ends_at_in && Next().IsName("in"))) {
    GRAFT_ASSIGN_OR_RETURN(Target part, ParseTargetPart(may_be_attribute));
    several.parts.push_back(std::move(part));
    if (!TakeOperator(",")) break;
    has_comma = true;
  }
  if (several.parts.empty()) return FailAtNext("a name to assign to");
  if (!has_comma) {
    Target only = std::move(several.parts[0]);
    return only;
  }
  return several;
}

StatusOr<Target> Parser::ParseTargetPart(bool may_be_attribute) {
  const Token& token = Next();
  if (may_be_attribute && token.kind == Kind::kName && After().IsOperator(".")) {
    Target target;
    target.what = Target::What::kAttribute;
    target.at = token.at;
    target.name = Take().text;
    Take();
    GRAFT_ASSIGN_OR_RETURN(target.attribute, ExpectName("an attribute's name"));
    return target;
  }
  GRAFT_ASSIGN_OR_RETURN(const ExpressionPtr expression, ParsePrimary());
  return TargetOf(*expression);
}

StatusOr<Target> Parser::TargetOf(const Expression& expression) {
  Target target;
  target.at = expression.at;
  if (const Name* name = expression.If<Name>(); name != nullptr) {
    target.name = name->name;
    return target;
  }
  const auto* literal = expression.If<SequenceLiteral>();
  if (literal == nullptr || literal->form != Sequence::Form::kTuple)
    return Fail(expression.at, "nothing can be assigned to this");
  target.what = Target::What::kSeveral;
  for (const ExpressionPtr& item : literal->items) {
    GRAFT_ASSIGN_OR_RETURN(Target part, TargetOf(*item));
    target.parts.push_back(std::move(part));
  }
  return target;
}

StatusOr<Program> ParseTemplate(std::string_view source, const Limits& limits) {
  Program program;
  GRAFT_ASSIGN_OR_RETURN(program.source, NormalizedSource(source, limits));
  GRAFT_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(program.source));
  GRAFT_ASSIGN_OR_RETURN(program.body,
                         Parser(program.source, std::move(tokens), limits).ParseAll());
  return program;
}

}  // namespace graft::templates
