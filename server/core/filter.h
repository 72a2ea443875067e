#pragma once
/// The small language of list filters, and page tokens.

#include <string>
#include <string_view>

#include "common/base/status.h"
#include "server/core/store.h"

namespace graft::server::core {

/// Terms joined by spaces, all must hold: state=RUNNING adapter=support base=ID label.KEY=VALUE. A
/// value with spaces stands in double quotes: label.team="a b". Several states: any of them.
/// Errors: InvalidArgument for an unknown term or state, with what there is; for a term that comes
/// twice; for more than 2,000 bytes.
StatusOr<JobQuery> ParseJobFilter(std::string_view filter);

/// base=ID or nothing; returns the base.
StatusOr<std::string> ParseBaseFilter(std::string_view filter);

/// job=jobs/ID, job=ID or nothing; returns the id.
StatusOr<std::string> ParseVersionFilter(std::string_view filter);

/// A page token for the list that goes on behind `last`. It is only good for the same filter.
std::string MakePageToken(std::string_view last, std::string_view filter);
/// Returns `last`; empty for an empty token.
/// Errors: InvalidArgument if it isn't one of this filter's.
StatusOr<std::string> ParsePageToken(std::string_view token, std::string_view filter);

}  // namespace graft::server::core
