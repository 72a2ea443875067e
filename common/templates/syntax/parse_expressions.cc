#include "common/base/utf8.h"
#include "common/templates/syntax/parser.h"
#include "common/templates/syntax/source.h"

namespace graft::templates {

using Kind = Token::Kind;

bool Parser::TakeName(std::string_view word) {
  if (!Next().IsName(word)) return false;
  Take();
  return true;
}

bool Parser::TakeOperator(std::string_view sign) {
  if (!Next().IsOperator(sign)) return false;
  Take();
  return true;
}

Status Parser::ExpectOperator(std::string_view sign) {
  return TakeOperator(sign) ? OkStatus() : FailAtNext(Quoted(sign));
}

Status Parser::Expect(Kind kind, std::string_view what) {
  if (Next().kind != kind) return FailAtNext(std::string(what));
  Take();
  return OkStatus();
}

StatusOr<std::string> Parser::ExpectName(std::string_view what) {
  if (Next().kind != Kind::kName) return FailAtNext(std::string(what));
  return Take().text;
}

Status Parser::CheckLevel(int levels) const {
  if (levels <= max_nesting_) return OkStatus();
  return Fail(Next().at, "nested deeper than " + std::to_string(max_nesting_) + " levels");
}

StatusOr<ExpressionPtr> Parser::Make(size_t at, Expression::Form form) const {
  auto made = std::make_unique<Expression>(Expression{at, 1, std::move(form)});
  ForEachPart(*made, [&](Expression& part) {
    if (part.height >= made->height) made->height = part.height + 1;
  });
  GRAFT_RETURN_IF_ERROR(CheckLevel(made->height));
  return made;
}

StatusOr<ExpressionPtr> Parser::ParseTuple(const TupleStyle& style) {
  const size_t at = Next().at;
  const auto ends = [&] {
    return Next().kind == Kind::kPrintEnd || Next().kind == Kind::kStatementEnd ||
           Next().IsOperator(")") || (style.ends_at_recursive && Next().IsName("recursive"));
  };
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (!ends()) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr item, style.conditionals ? ParseExpression() : ParseOr());
    items.push_back(std::move(item));
    if (!TakeOperator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (!is_tuple && !style.may_be_empty) return FailAtNext("an expression");
  return Make(at, SequenceLiteral{Sequence::Form::kTuple, std::move(items)});
}

StatusOr<ExpressionPtr> Parser::ParseExpression() {
  const Level level(*this);
  GRAFT_RETURN_IF_ERROR(level.Check());
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseOr());
  while (TakeName("if")) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr test, ParseOr());
    ExpressionPtr otherwise;
    if (TakeName("else")) {
      GRAFT_ASSIGN_OR_RETURN(otherwise, ParseExpression());
    }
    GRAFT_ASSIGN_OR_RETURN(
        value, Make(at, Conditional{std::move(test), std::move(value), std::move(otherwise)}));
  }
  return value;
}

StatusOr<ExpressionPtr> Parser::ParseOr() {
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr left, ParseAnd());
  while (TakeName("or")) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr right, ParseAnd());
    GRAFT_ASSIGN_OR_RETURN(left, Make(at, Logical{false, std::move(left), std::move(right)}));
  }
  return left;
}

StatusOr<ExpressionPtr> Parser::ParseAnd() {
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr left, ParseNot());
  while (TakeName("and")) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr right, ParseNot());
    GRAFT_ASSIGN_OR_RETURN(left, Make(at, Logical{true, std::move(left), std::move(right)}));
  }
  return left;
}

StatusOr<ExpressionPtr> Parser::ParseNot() {
  const size_t at = Next().at;
  if (!TakeName("not")) return ParseComparison();
  const Level level(*this);
  GRAFT_RETURN_IF_ERROR(level.Check());
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseNot());
  return Make(at, Unary{Unary::Sign::kNot, std::move(operand)});
}

StatusOr<ExpressionPtr> Parser::ParseComparison() {
  using Sign = Comparisons::Sign;
  constexpr std::pair<std::string_view, Sign> kSigns[] = {
      {"==", Sign::kEqual},     {"!=", Sign::kNotEqual}, {"<", Sign::kLess},
      {"<=", Sign::kLessEqual}, {">", Sign::kGreater},   {">=", Sign::kGreaterEqual}};
  const auto take = [&]() -> std::optional<Sign> {
    for (const auto& [text, sign] : kSigns) {
      if (TakeOperator(text)) return sign;
    }
    if (TakeName("in")) return Sign::kIn;
    if (!Next().IsName("not") || !After().IsName("in")) return {};
    Take();
    Take();
    return Sign::kNotIn;
  };
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr first, ParseSum());
  std::vector<std::pair<Sign, ExpressionPtr>> rest;
  for (auto sign = take(); sign.has_value(); sign = take()) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseSum());
    rest.emplace_back(*sign, std::move(operand));
  }
  if (rest.empty()) return first;
  return Make(at, Comparisons{std::move(first), std::move(rest)});
}

StatusOr<ExpressionPtr> Parser::ParseSum() {
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr left, ParseConcatenation());
  while (Next().IsOperator("+") || Next().IsOperator("-")) {
    const Operator op = Take().text == "+" ? Operator::kAdd : Operator::kSubtract;
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr right, ParseConcatenation());
    GRAFT_ASSIGN_OR_RETURN(left, Make(at, Arithmetic{op, std::move(left), std::move(right)}));
  }
  return left;
}

StatusOr<ExpressionPtr> Parser::ParseConcatenation() {
  const size_t at = Next().at;
  std::vector<ExpressionPtr> parts;
  do {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr part, ParseProduct());
    parts.push_back(std::move(part));
  } while (TakeOperator("~"));
  if (parts.size() == 1) return std::move(parts[0]);
  return Make(at, Concatenation{std::move(parts)});
}

StatusOr<ExpressionPtr> Parser::ParseProduct() {
  constexpr std::pair<std::string_view, Operator> kSigns[] = {{"*", Operator::kMultiply},
                                                              {"/", Operator::kDivide},
                                                              {"//", Operator::kFloorDivide},
                                                              {"%", Operator::kModulo}};
  const auto take = [&]() -> std::optional<Operator> {
    for (const auto& [sign, op] : kSigns) {
      if (TakeOperator(sign)) return op;
    }
    return {};
  };
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr left, ParsePower());
  for (auto op = take(); op.has_value(); op = take()) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr right, ParsePower());
    GRAFT_ASSIGN_OR_RETURN(left, Make(at, Arithmetic{*op, std::move(left), std::move(right)}));
  }
  return left;
}

StatusOr<ExpressionPtr> Parser::ParsePower() {
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr left, ParseUnary(true));
  while (TakeOperator("**")) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr right, ParseUnary(true));
    GRAFT_ASSIGN_OR_RETURN(
        left, Make(at, Arithmetic{Operator::kPower, std::move(left), std::move(right)}));
  }
  return left;
}

StatusOr<ExpressionPtr> Parser::ParseUnary(bool with_filters) {
  const size_t at = Next().at;
  ExpressionPtr value;
  if (Next().IsOperator("-") || Next().IsOperator("+")) {
    const Level level(*this);
    GRAFT_RETURN_IF_ERROR(level.Check());
    const auto sign = Take().text == "-" ? Unary::Sign::kMinus : Unary::Sign::kPlus;
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseUnary(false));
    GRAFT_ASSIGN_OR_RETURN(value, Make(at, Unary{sign, std::move(operand)}));
  } else {
    GRAFT_ASSIGN_OR_RETURN(value, ParsePrimary());
  }
  GRAFT_ASSIGN_OR_RETURN(value, ParsePostfix(std::move(value)));
  return with_filters ? ParseFiltersAndTests(std::move(value)) : std::move(value);
}

StatusOr<ExpressionPtr> Parser::ParsePrimary() {
  const Token& token = Next();
  switch (token.kind) {
    case Kind::kName: {
      Take();
      const std::string& word = token.text;
      if (word == "true" || word == "True") return Make(token.at, Constant{Value(true)});
      if (word == "false" || word == "False") return Make(token.at, Constant{Value(false)});
      if (word == "none" || word == "None") return Make(token.at, Constant{Value(None())});
      return Make(token.at, Name{word});
    }
    case Kind::kString: {
      std::string text;
      while (Next().kind == Kind::kString) text += Take().text;
      return Make(token.at, Constant{ConstantText(std::move(text))});
    }
    case Kind::kInteger:
      return Make(token.at, Constant{Value(Take().integer)});
    case Kind::kFloat:
      return Make(token.at, Constant{Value(Take().real)});
    default:
      break;
  }
  if (TakeOperator("(")) {
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseTuple({.may_be_empty = true}));
    GRAFT_RETURN_IF_ERROR(ExpectOperator(")"));
    return value;
  }
  if (token.IsOperator("[")) return ParseList();
  if (token.IsOperator("{")) return ParseDict();
  return FailAtNext("a value");
}

StatusOr<ExpressionPtr> Parser::ParseList() {
  const size_t at = Take().at;
  std::vector<ExpressionPtr> items;
  while (!Next().IsOperator("]")) {
    if (!items.empty()) {
      GRAFT_RETURN_IF_ERROR(ExpectOperator(","));
      if (Next().IsOperator("]")) break;
    }
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr item, ParseExpression());
    items.push_back(std::move(item));
  }
  GRAFT_RETURN_IF_ERROR(ExpectOperator("]"));
  return Make(at, SequenceLiteral{Sequence::Form::kList, std::move(items)});
}

StatusOr<ExpressionPtr> Parser::ParseDict() {
  const size_t at = Take().at;
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
  while (!Next().IsOperator("}")) {
    if (!items.empty()) {
      GRAFT_RETURN_IF_ERROR(ExpectOperator(","));
      if (Next().IsOperator("}")) break;
    }
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr key, ParseExpression());
    GRAFT_RETURN_IF_ERROR(ExpectOperator(":"));
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
    items.emplace_back(std::move(key), std::move(value));
  }
  GRAFT_RETURN_IF_ERROR(ExpectOperator("}"));
  return Make(at, DictLiteral{std::move(items)});
}

Status Parser::Fail(size_t at, const std::string& what) const {
  return SyntaxFailure(source_, at, what);
}

Status Parser::FailAtNext(const std::string& expected) const {
  const Token& token = Next();
  std::string got;
  switch (token.kind) {
    case Kind::kPrintEnd:
      got = "}}";
      break;
    case Kind::kStatementEnd:
      got = "%}";
      break;
    case Kind::kEnd:
    case Kind::kText:
    case Kind::kPrintBegin:
    case Kind::kStatementBegin:
      return Fail(token.at, expected + " is missing here");
    default:
      got = Quoted(token.text);
  }
  return Fail(token.at, "here should be " + expected + ", not " + got);
}

}  // namespace graft::templates
