#include "server/rest/completion_request.h"

#include <algorithm>

namespace graft::server::rest {
namespace {

constexpr size_t kMaxPrompts = 128;
constexpr int64_t kMostTokens = int64_t{1} << 31;
constexpr int64_t kMostLogprobs = 20;

bool IsToken(const Json& value) {
  return value.is_number_integer() && value.get<int64_t>() >= 0 &&
         value.get<int64_t>() < kMostTokens;
}

bool IsTokens(const Json& value) {
  return value.is_array() && !value.empty() && std::ranges::all_of(value, IsToken);
}

PromptText OnePrompt(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.get<std::vector<int32_t>>();
}

/// A text, a list of texts, the tokens of one, or a list of those.
void ReadPrompts(Fields& fields, std::vector<PromptText>& prompts) {
  constexpr const char* kForms =
      "must be a text, a list of texts, a list of token ids, or a list of such lists";
  if (!fields.Has("prompt")) return fields.Fail("prompt", kForms);
  const Json& prompt = fields.raw("prompt");
  if (prompt.is_string() || IsTokens(prompt)) return prompts.push_back(OnePrompt(prompt));
  if (!prompt.is_array() || prompt.empty()) return fields.Fail("prompt", kForms);
  if (prompt.size() > kMaxPrompts)
    return fields.Fail("prompt", "may have up to 128 texts; send the others in another request");
  for (const Json& one : prompt) {
    if (!one.is_string() && !IsTokens(one)) return fields.Fail("prompt", kForms);
    prompts.push_back(OnePrompt(one));
  }
}

}  // namespace

StatusOr<CompletionRequest> ReadCompletionRequest(const Json& body) {
  CompletionRequest request;
  Fields fields(body, "");
  request.model = fields.Text("model", 512);
  if (!fields.Has("model")) fields.Fail("model", "must name a base or an adapter");
  ReadPrompts(fields, request.prompts);
  ReadGeneration(fields, request.settings);
  request.echo = fields.Flag("echo", false);
  request.max_tokens = fields.Integer("max_tokens", 0, kMostTokens, 16);
  if (request.max_tokens == 0 && !request.echo)
    fields.Fail("max_tokens", "can be 0 only with \"echo\": true");
  request.settings.set_max_tokens(request.max_tokens);
  request.wants_logprobs = fields.Has("logprobs");
  if (request.wants_logprobs)
    request.settings.set_logprobs(
        static_cast<int32_t>(fields.Integer("logprobs", 0, kMostLogprobs, 0)));
  request.stream = ReadStreamOptions(fields);
  if (fields.Has("suffix")) fields.Fail("suffix", "isn't built; leave it out");
  if (fields.Has("best_of") &&
      fields.Integer("best_of", 1, 64, 1) != std::max(1, request.settings.n()))
    fields.Fail("best_of", "isn't built: all n answers are returned; leave it out");
  ReadHarmless(fields);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return request;
}

}  // namespace graft::server::rest
