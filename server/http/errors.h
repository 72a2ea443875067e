#pragma once
/// Errors as clients of OpenAI's API read them: {"error": {"message", "type", "param", "code"}}.
/// Its package makes an exception of each status: 400 BadRequestError, 404 NotFoundError, 409
/// ConflictError, 429 RateLimitError, 500 and above InternalServerError; 408, 409, 429 and what is
/// above are tried again.
/// Thread safety: free functions.

#include <string>

#include "common/base/status.h"
#include "server/http/refusal.h"
#include "server/http/request.h"

namespace graft::server::http {

/// 400 for INVALID_ARGUMENT and so on. Requires: not OK.
int HttpStatus(StatusCode code);

/// The body; `param` is the first detail's field, `code` its reason in lower case, else the code's
/// name. All details stand in "details", as graft.v1.ErrorDetail has them.
std::string ErrorBody(const Status& status);
std::string ErrorBody(const Refusal& refusal);

/// With Retry-After where it is worth a try.
AnswerHead ErrorHead(int http_status);
/// OpenAI's package asks again behind any 409 and any status of 500 and above, unless
/// x-should-retry says no: that is said of what asking again can't help.
AnswerHead ErrorHead(const Status& status);

}  // namespace graft::server::http
