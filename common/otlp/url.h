#pragma once
/// Addresses of collectors.

#include <string>

#include "common/base/status.h"

namespace graft::otlp {

struct Url {
  std::string whole;
  std::string shown;  ///< Without names, passwords and query: for logs.
};

/// With `path` behind its own. Errors: InvalidArgument, without what may be secret, for what is no
/// http or https address.
StatusOr<Url> ParseUrl(const std::string& text, const std::string& path);

}  // namespace graft::otlp
