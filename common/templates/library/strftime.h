#pragma once
/// Dates as text, in the C locale. Thread safety: free function.

#include <chrono>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::templates {

/// strftime(format, time) as Python has it on Linux for a time without a zone: %a %A %b %B %c %d %D
/// %e %F %H %I %j %m %M %p %S %T %w %y %Y %% , and %- before a number to leave its zero out.
/// Errors: InvalidArgument, naming it, for any other.
StatusOr<std::string> FormatTime(std::string_view format, std::chrono::sys_seconds time);

}  // namespace graft::templates
