#pragma once
/// A request for a chat's next message: OpenAI's CreateChatCompletionRequest, read.
/// Thread safety: free functions.

#include <map>
#include <string>

#include "common/base/json.h"
#include "common/base/status.h"
#include "graft/v1/inference.pb.h"
#include "server/rest/generation_fields.h"

namespace graft::server::rest {

struct ChatRequest {
  std::string model;
  graft::v1::GenerateRequest generate;  ///< Without adapter and base.
  StreamOptions stream;
  bool wants_logprobs = false;
};

/// Errors: InvalidArgument naming the first field at fault: out of range, unknown, or one that
/// would change the answer and isn't built.
StatusOr<ChatRequest> ReadChatRequest(const Json& body);

}  // namespace graft::server::rest
