#pragma once
/// What methods and filters of texts share.

#include <cstdint>
#include <string_view>

#include "common/templates/values/value.h"

namespace graft::templates {

/// text.replace(old, new, max): all if `max` is below 0; an empty `old` stands between all
/// characters. Errors: LimitFailure.
StatusOr<Value> Replaced(Session& session, std::string_view text, std::string_view old,
                         std::string_view with, int64_t max);

}  // namespace graft::templates
