#pragma once
/// What OpenAI's requests, chats and plain prompts alike, say of how to generate. Where that API is
/// silent the names are vLLM's.
/// Source: OpenAI's CreateChatCompletionRequest and CreateCompletionRequest.

#include "common/base/fields.h"
#include "graft/v1/generation.pb.h"

namespace graft::server::rest {

/// Reads all that both kinds of request have: temperature, top_p, top_k, min_p, penalties,
/// logit_bias, seed, n, stop, min_tokens, stop_token_ids. Faults go to `fields`.
void ReadGeneration(Fields& fields, graft::v1::GenerationSettings& settings);

/// Reads past what changes no answer: user, metadata, store, service_tier and their like.
void ReadHarmless(Fields& fields);

/// How an answer is sent.
struct StreamOptions {
  bool stream = false;
  bool include_usage = false;
};
StreamOptions ReadStreamOptions(Fields& fields);

}  // namespace graft::server::rest
