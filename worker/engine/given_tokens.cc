#include "worker/engine/given_tokens.h"

#include <algorithm>
#include <utility>

namespace graft::worker::engine {

Status CheckTokens(const std::vector<int32_t>& tokens, const Base& base, const std::string& field) {
  const auto vocabulary = static_cast<int32_t>(base.layout().vocab_size);
  const auto foreign =
      std::ranges::find_if(tokens, [&](int32_t token) { return token < 0 || token >= vocabulary; });
  if (foreign != tokens.end()) {
    return InvalidArgumentError("token " + std::to_string(*foreign) +
                                " isn't in the base's vocabulary of " + std::to_string(vocabulary))
        .At(field);
  }
  if (static_cast<int64_t>(tokens.size()) <= base.layout().max_positions) return OkStatus();
  return InvalidArgumentError(std::to_string(tokens.size()) + " tokens are more than the " +
                              std::to_string(base.layout().max_positions) +
                              " of the base's context")
      .At(field);
}

tokenizers::Encoding EncodingOf(std::vector<int32_t> tokens) {
  tokenizers::Encoding encoding;
  encoding.type_ids.resize(tokens.size());
  encoding.ids = std::move(tokens);
  return encoding;
}

}  // namespace graft::worker::engine
