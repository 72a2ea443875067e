#pragma once
/// What a template can call, as a value. Thread safety: constant once made.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/templates/values/value.h"

namespace graft::templates {

struct Native;
struct Procedure;

/// A native (library/native.h), bound to what it is a method of, or a macro (syntax/ast.h).
struct Callable {
  std::string name;
  const Native* native = nullptr;  ///< Null for a macro, and for a method that isn't built.
  Value self;
  int depth = 1;  ///< Levels of lists and dicts that `self` has, and one for this.
  const Procedure* procedure = nullptr;
  size_t frame = 0;  ///< A macro's: the frame in which it was defined (evaluation/frame.h).
  uint64_t frame_serial = 0;
};

/// A method of `self`; null if it isn't built. Errors: LimitFailure if `self` is too deep.
StatusOr<Value> MakeMethod(Session& session, const Value& self, std::string_view name,
                           const Native* method);

}  // namespace graft::templates
