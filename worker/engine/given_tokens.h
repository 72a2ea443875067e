#pragma once
/// Texts that come as the tokens themselves. Private to the engine.

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/tokenizers/tokenizer.h"
#include "worker/engine/model/base.h"

namespace graft::worker::engine {

/// Errors: InvalidArgument at `field` unless each is a token of the base's vocabulary, and there
/// are no more than its context holds.
Status CheckTokens(const std::vector<int32_t>& tokens, const Base& base, const std::string& field);

/// Tokens as they are, as if they were of one text.
tokenizers::Encoding EncodingOf(std::vector<int32_t> tokens);

}  // namespace graft::worker::engine
