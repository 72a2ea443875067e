#pragma once
/// Pages of a list, as OpenAI's API has them: `after` the last one's id, `limit` of them.

#include <string>
#include <string_view>

#include "common/base/json.h"
#include "common/base/status.h"

namespace graft::server::rest {

struct PageQuery {
  size_t limit = 20;
  std::string after;  ///< Empty: from the first on.
};

/// Takes a parameter of the query if it is one of a page's; true if it was.
/// Errors: InvalidArgument for a limit that isn't a number from 1 to `most`.
StatusOr<bool> ReadPageParameter(std::string_view name, const std::string& value, size_t most,
                                 PageQuery& query);

/// For a parameter that nobody takes.
Status NoSuchParameter(const std::string& name);

/// Requires: each of `data` has an id.
Json Page(Json data, bool has_more);

}  // namespace graft::server::rest
