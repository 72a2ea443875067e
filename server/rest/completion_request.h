#pragma once
/// A request to continue texts: OpenAI's CreateCompletionRequest, read.
/// Thread safety: free functions.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "graft/v1/generation.pb.h"
#include "server/rest/generation_fields.h"

namespace graft::server::rest {

/// A text, or the tokens that it is.
using PromptText = std::variant<std::string, std::vector<int32_t>>;

struct CompletionRequest {
  std::string model;
  std::vector<PromptText> prompts;  ///< 1..128.
  graft::v1::GenerationSettings settings;
  int64_t max_tokens = 16;  ///< 0 only with `echo`: nothing is generated.
  bool echo = false;        ///< The prompt stands in front of each choice's text.
  bool wants_logprobs = false;
  StreamOptions stream;
};

/// Errors: InvalidArgument naming the first field at fault.
StatusOr<CompletionRequest> ReadCompletionRequest(const Json& body);

}  // namespace graft::server::rest
