#pragma once
/// value.name and value[key] of a template.

#include <string>
#include <string_view>

#include "common/templates/values/value.h"

namespace graft::templates {

/// value.name: the method or attribute that Python's type has, else the item of that name, else
/// Undefined. Methods that change a list or dict are Undefined, as in jinja2's sandbox.
/// Requires: `name` outlives the rendering. Errors: Failure for an attribute of what is undefined.
StatusOr<Value> AttributeOf(Session& session, const Value& value, const std::string& name);

/// value[key]: the item, else the attribute of that name, else Undefined. `name`, if given,
/// outlives the rendering and names what was looked for. Errors: Failure for an item of what is
/// undefined.
StatusOr<Value> ItemOf(Session& session, const Value& value, const Value& key,
                       const std::string* name = nullptr);

/// True if some type has a method of that name, or Python has one that isn't built.
bool IsMethodName(std::string_view name);
bool IsMissingMethod(std::string_view name);

}  // namespace graft::templates
