#include "common/templates/library/native.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/templates/values/operations.h"

namespace graft::templates {
namespace {

/// The names of `parameters`, and how many at the front can't be named.
struct Parameters {
  std::vector<std::string_view> names;
  size_t num_unnamed = 0;
};

Parameters Split(std::string_view text) {
  Parameters parameters;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word == "/") {
      parameters.num_unnamed = parameters.names.size();
    } else {
      parameters.names.push_back(word);
    }
  }
  return parameters;
}

}  // namespace

StatusOr<Value> Call(Session& session, const Native& native, const Value& self,
                     Arguments arguments) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  if (native.parameters == "*") return native.function(session, self, arguments);
  const auto fail = [&](const std::string& what) {
    return Failure(std::string(native.name) + "() " + what);
  };
  const Parameters parameters = Split(native.parameters);
  if (arguments.positional.size() > parameters.names.size())
    return fail("takes at most " + std::to_string(parameters.names.size()) + " arguments");
  arguments.positional.resize(parameters.names.size(), Missing());
  for (auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters.names.begin(), parameters.names.end(), name);
    const auto index = static_cast<size_t>(found - parameters.names.begin());
    if (found == parameters.names.end() || index < parameters.num_unnamed)
      return fail("has no argument " + Quoted(name));
    if (!arguments.positional[index].Is(Value::Kind::kMissing))
      return fail("is given " + Quoted(name) + " twice");
    arguments.positional[index] = std::move(value);
  }
  arguments.named.clear();
  for (size_t i = 0; i < native.num_required; ++i) {
    if (arguments.Find(i) == nullptr)
      return fail("needs the argument " + std::string(parameters.names[i]));
  }
  return native.function(session, self, arguments);
}

StatusOr<Value> ApplyFilter(Session& session, const Value& name, const Value& input,
                            const Arguments& arguments) {
  const Native* filter = name.Is(Value::Kind::kText) ? FindFilter(name.text()) : nullptr;
  if (filter == nullptr) {
    return Failure("there is no filter " + (name.Is(Value::Kind::kText)
                                                ? Quoted(name.text())
                                                : "named by a " + std::string(TypeName(name))));
  }
  return Call(session, *filter, input, arguments);
}

StatusOr<bool> ApplyTest(Session& session, const Value& name, const Value& input,
                         const Arguments& arguments) {
  const Native* test = name.Is(Value::Kind::kText) ? FindTest(name.text()) : nullptr;
  if (test == nullptr) {
    return Failure("there is no test " + (name.Is(Value::Kind::kText)
                                              ? Quoted(name.text())
                                              : "named by a " + std::string(TypeName(name))));
  }
  GRAFT_ASSIGN_OR_RETURN(const Value result, Call(session, *test, input, arguments));
  return Truth(result);
}

StatusOr<int64_t> WholeArgument(const Value& value, std::string_view what) {
  if (const auto whole = WholeNumber(value); whole.has_value()) return *whole;
  return Failure(std::string(what) + " must be a whole number, not a " +
                 std::string(TypeName(value)));
}

StatusOr<std::optional<std::string_view>> TextArgument(const Value* value, std::string_view what) {
  if (value == nullptr || value->Is(Value::Kind::kNone)) return std::optional<std::string_view>();
  if (value->Is(Value::Kind::kText)) return std::optional<std::string_view>(value->text());
  return Failure(std::string(what) + " must be a text, not a " + std::string(TypeName(*value)));
}

bool FlagArgument(const Value* value) { return value != nullptr && Truth(*value); }

}  // namespace graft::templates
