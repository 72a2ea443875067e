#pragma once
/// POST /v1/embeddings (OpenAI's), /v1/classify and /v1/score (graft's own): texts in, numbers out.
/// Source: OpenAI's CreateEmbeddingRequest; /v1/classify answers in the form of vLLM's /classify.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// `services` outlives them.
http::Handler EmbeddingsHandler(service::Services& services);
http::Handler ClassifyHandler(service::Services& services);
http::Handler ScoreHandler(service::Services& services);

}  // namespace graft::server::rest
