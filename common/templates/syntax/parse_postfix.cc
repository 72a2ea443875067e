#include "common/base/utf8.h"
#include "common/templates/syntax/parser.h"

namespace graft::templates {

using Kind = Token::Kind;

StatusOr<ExpressionPtr> Parser::ParsePostfix(ExpressionPtr value) {
  for (;;) {
    if (Next().IsOperator(".") || Next().IsOperator("[")) {
      GRAFT_ASSIGN_OR_RETURN(value, ParseSubscript(std::move(value)));
    } else if (Next().IsOperator("(")) {
      GRAFT_ASSIGN_OR_RETURN(value, ParseCall(std::move(value)));
    } else {
      return value;
    }
  }
}

StatusOr<ExpressionPtr> Parser::ParseFiltersAndTests(ExpressionPtr value) {
  for (;;) {
    if (TakeOperator("|")) {
      GRAFT_ASSIGN_OR_RETURN(value, ParseFilter(std::move(value)));
    } else if (Next().IsName("is")) {
      GRAFT_ASSIGN_OR_RETURN(value, ParseTest(std::move(value)));
    } else if (Next().IsOperator("(")) {
      GRAFT_ASSIGN_OR_RETURN(value, ParseCall(std::move(value)));
    } else {
      return value;
    }
  }
}

StatusOr<ExpressionPtr> Parser::ParseSubscript(ExpressionPtr value) {
  const size_t at = Next().at;
  if (TakeOperator("[")) return ParseBrackets(std::move(value), at);
  Take();
  const Token& what = Take();
  if (what.kind == Kind::kName) {
    if (what.text.starts_with("__"))
      return Fail(what.at, "attributes that begin with two underscores aren't there");
    return Make(at, AttributeAccess{std::move(value), what.text});
  }
  if (what.kind != Kind::kInteger) return Fail(what.at, "behind a dot comes a name or a number");
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr key, Make(what.at, Constant{Value(what.integer)}));
  return Make(at, ItemAccess{std::move(value), std::move(key)});
}

StatusOr<ExpressionPtr> Parser::ParseBrackets(ExpressionPtr value, size_t at) {
  const auto ends_part = [&] { return Next().IsOperator(":") || Next().IsOperator("]"); };
  ExpressionPtr parts[3];
  size_t count = 0;
  bool is_slice = false;
  for (; count < 3; ++count) {
    if (!ends_part()) {
      GRAFT_ASSIGN_OR_RETURN(parts[count], ParseExpression());
    }
    if (count == 2 || !TakeOperator(":")) break;
    is_slice = true;
  }
  if (Next().IsOperator(",")) return Fail(Next().at, "several indices at once aren't built");
  GRAFT_RETURN_IF_ERROR(ExpectOperator("]"));
  if (is_slice) {
    return Make(at, SliceAccess{std::move(value), std::move(parts[0]), std::move(parts[1]),
                                std::move(parts[2])});
  }
  if (parts[0] == nullptr) return Fail(at, "these brackets are empty");
  return Make(at, ItemAccess{std::move(value), std::move(parts[0])});
}

StatusOr<ExpressionPtr> Parser::ParseCall(ExpressionPtr callee) {
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(CallArguments arguments, ParseArguments());
  return Make(at, CallExpression{std::move(callee), std::move(arguments)});
}

StatusOr<CallArguments> Parser::ParseArguments() {
  const size_t at = Next().at;
  GRAFT_RETURN_IF_ERROR(ExpectOperator("("));
  CallArguments arguments;
  bool is_first = true;
  while (!Next().IsOperator(")")) {
    if (!is_first) {
      GRAFT_RETURN_IF_ERROR(ExpectOperator(","));
      if (Next().IsOperator(")")) break;
    }
    is_first = false;
    GRAFT_RETURN_IF_ERROR(ParseArgument(arguments, at));
  }
  GRAFT_RETURN_IF_ERROR(ExpectOperator(")"));
  return arguments;
}

Status Parser::ParseArgument(CallArguments& arguments, size_t at) {
  const auto misplaced = [&] { return Fail(at, "the arguments of this call are out of order"); };
  if (arguments.positional.size() + arguments.named.size() == kMaxArguments)
    return Fail(Next().at, "a call has at most " + std::to_string(kMaxArguments) + " arguments");
  if (TakeOperator("*")) {
    if (arguments.more_positional != nullptr || arguments.more_named != nullptr) return misplaced();
    GRAFT_ASSIGN_OR_RETURN(arguments.more_positional, ParseExpression());
    return OkStatus();
  }
  if (TakeOperator("**")) {
    if (arguments.more_named != nullptr) return misplaced();
    GRAFT_ASSIGN_OR_RETURN(arguments.more_named, ParseExpression());
    return OkStatus();
  }
  if (arguments.more_named != nullptr) return misplaced();
  if (Next().kind == Kind::kName && After().IsOperator("=")) {
    const Token& name = Take();
    Take();
    for (const auto& named : arguments.named) {
      if (named.first == name.text)
        return Fail(name.at, "the argument " + Quoted(name.text) + " is given twice");
    }
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
    arguments.named.emplace_back(name.text, std::move(value));
    return OkStatus();
  }
  if (arguments.more_positional != nullptr || !arguments.named.empty()) return misplaced();
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
  arguments.positional.push_back(std::move(value));
  return OkStatus();
}

StatusOr<ExpressionPtr> Parser::ParseFilter(ExpressionPtr input) {
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(std::string name, ExpectName("a filter's name"));
  if (Next().IsOperator(".")) return Fail(at, "filters' names have no dots here");
  CallArguments arguments;
  if (Next().IsOperator("(")) {
    GRAFT_ASSIGN_OR_RETURN(arguments, ParseArguments());
  }
  return Make(at, Application{Application::What::kFilter, std::move(input), std::move(name),
                              std::move(arguments)});
}

StatusOr<ExpressionPtr> Parser::ParseTest(ExpressionPtr input) {
  Take();  // "is"
  const bool is_negated = TakeName("not");
  const size_t at = Next().at;
  GRAFT_ASSIGN_OR_RETURN(std::string name, ExpectName("a test's name"));
  if (Next().IsOperator(".")) return Fail(at, "tests' names have no dots here");
  CallArguments arguments;
  const Token& next = Next();
  const bool begins_value = (next.kind == Kind::kName && next.text != "else" && next.text != "or" &&
                             next.text != "and") ||
                            next.kind == Kind::kString || next.kind == Kind::kInteger ||
                            next.kind == Kind::kFloat || next.IsOperator("[") ||
                            next.IsOperator("{");
  if (next.IsOperator("(")) {
    GRAFT_ASSIGN_OR_RETURN(arguments, ParseArguments());
  } else if (begins_value) {
    if (next.IsName("is")) return Fail(next.at, "two tests in a row need an `and`");
    GRAFT_ASSIGN_OR_RETURN(ExpressionPtr argument, ParsePrimary());
    GRAFT_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    arguments.positional.push_back(std::move(argument));
  }
  GRAFT_ASSIGN_OR_RETURN(ExpressionPtr test,
                         Make(at, Application{Application::What::kTest, std::move(input),
                                              std::move(name), std::move(arguments)}));
  if (!is_negated) return test;
  return Make(at, Unary{Unary::Sign::kNot, std::move(test)});
}

}  // namespace graft::templates
