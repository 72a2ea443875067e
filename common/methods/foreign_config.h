#pragma once
/// What importing another library's JSON shares: no field that changes an adapter is passed over.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/families/layout.h"
#include "common/methods/method_spec.h"

namespace graft::methods {

/// A fault of the file that both libraries keep an adapter's fields in.
inline Status BadConfig(const std::string& what) {
  return InvalidArgumentError("adapter_config.json: " + what);
}

/// A field of the file, and the method's field that it is read into.
struct ReadAs {
  std::string theirs, ours;
};

/// `parsed`, the method called `name`, for a base. What it says of its fields, "method.lora.rank
/// must be ...", is said of the file's: "r must be ...".
StatusOr<std::shared_ptr<const MethodSpec>> ResolveRead(
    const StatusOr<std::shared_ptr<const MethodSpec>>& parsed, const std::string& name,
    const std::vector<ReadAs>& fields, const families::Layout& layout);

/// A value as errors show it: its JSON, cut.
inline std::string Shown(const Json& value) { return Printable(value.dump(), 80); }

/// True for what a newer version writes for an option that is off.
inline bool IsOff(const Json& value) {
  return value.is_null() || value == Json(false) || (value.is_structured() && value.empty());
}

/// Errors: InvalidArgument if the object `config` of the file `what` has a field that isn't in
/// `known` and isn't off: it may change what the adapter computes.
inline Status RefuseUnknown(const Json& config, std::string_view what,
                            const std::vector<std::string_view>& known) {
  for (const auto& [name, value] : config.items()) {
    if (IsOff(value) || std::find(known.begin(), known.end(), name) != known.end()) continue;
    return InvalidArgumentError(std::string(what) + ": " + Printable(name) + " is " + Shown(value) +
                                ", a field that graft doesn't know; the adapter may compute "
                                "something else");
  }
  return OkStatus();
}

}  // namespace graft::methods
