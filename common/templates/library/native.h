#pragma once
/// What templates can call that is written here: filters, tests, methods and global functions.
/// Thread safety: free functions over constant tables.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/templates/values/callable.h"
#include "common/templates/values/value.h"

namespace graft::templates {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  /// Null if nothing was given for the parameter at `index`. For natives that name parameters.
  const Value* Find(size_t index) const {
    return index < positional.size() && !positional[index].Is(Value::Kind::kMissing)
               ? &positional[index]
               : nullptr;
  }
};

/// One function. `parameters` are the names of its arguments behind what it is applied to, in order
/// and apart by a space; those behind a "/" can be named, and a "*" takes anything.
struct Native {
  using Function = StatusOr<Value> (*)(Session&, const Value& self, const Arguments&);

  std::string_view name;
  std::string_view parameters;
  size_t num_required;
  Function function;
};

/// Calls `native` on `self` with the arguments that its parameters bind.
/// Errors: those of the function, and Failure for an argument too many, too few or unknown.
StatusOr<Value> Call(Session& session, const Native& native, const Value& self,
                     Arguments arguments);

/// Null if there is none.
const Native* FindFilter(std::string_view name);
const Native* FindTest(std::string_view name);
const Native* FindFunction(std::string_view name);
/// True for what jinja2 has and this hasn't: a template that uses it would come out differently.
bool IsMissingFilter(std::string_view name);
bool IsMissingTest(std::string_view name);
bool IsMissingFunction(std::string_view name);

/// Applies the filter or test that a template names in an argument. Errors: Failure if there is
/// none.
StatusOr<Value> ApplyFilter(Session& session, const Value& name, const Value& input,
                            const Arguments& arguments);
StatusOr<bool> ApplyTest(Session& session, const Value& name, const Value& input,
                         const Arguments& arguments);

/// Of arguments that are there; `what` names them in the error.
StatusOr<int64_t> WholeArgument(const Value& value, std::string_view what);
/// Null argument, or none: nothing. Errors: Failure if it is no text.
StatusOr<std::optional<std::string_view>> TextArgument(const Value* value, std::string_view what);
/// Truth of an argument, false if it is null.
bool FlagArgument(const Value* value);

}  // namespace graft::templates
