#include "common/language/samples.h"

#include <string>
#include <utility>

namespace graft::language {

StatusOr<std::vector<std::vector<int32_t>>> EncodeSamples(const Encoder& encoder,
                                                          const tasks::LanguageTraining& training,
                                                          int64_t context_tokens) {
  std::vector<std::vector<int32_t>> samples;
  for (const std::string& prompt : training.samples) {
    const std::string field = "task.causal_lm.samples[" + std::to_string(samples.size()) + "]";
    const auto refuse = [&](const std::string& why) {
      return InvalidArgumentError(field + " " + why).At(field);
    };
    StatusOr<std::vector<int32_t>> tokens = encoder.EncodePrompt(prompt);
    if (!tokens.ok()) {
      return refuse("can't be written down as a conversation: " +
                    std::string(tokens.status().message()));
    }
    if (tokens->empty()) return refuse("has no token; write something");
    if (static_cast<int64_t>(tokens->size()) >= context_tokens) {
      return refuse("has " + std::to_string(tokens->size()) +
                    " tokens, and the base reads at most " + std::to_string(context_tokens) +
                    ": nothing is left for an answer; shorten it");
    }
    samples.push_back(*std::move(tokens));
  }
  return samples;
}

}  // namespace graft::language
