#pragma once
/// The prompts of a job that are continued at its evaluations, as tokens: checked by the server
/// when the job is, and read by the engine.

#include <cstdint>
#include <vector>

#include "common/base/status.h"
#include "common/language/encoder.h"

namespace graft::language {

/// Encodes the samples of `training`, in their order. `context_tokens`: what the base reads at
/// most. Errors: InvalidArgument with the path of the prompt ("task.causal_lm.samples[2]") if it
/// has no token, leaves no room for an answer, or is refused by the template of conversations.
StatusOr<std::vector<std::vector<int32_t>>> EncodeSamples(const Encoder& encoder,
                                                          const tasks::LanguageTraining& training,
                                                          int64_t context_tokens);

}  // namespace graft::language
