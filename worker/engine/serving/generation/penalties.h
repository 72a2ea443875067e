#pragma once
/// What of a request's settings changes single logits: biases, penalties, end tokens that aren't
/// due yet.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/engine/serving/generation/settings.h"

namespace graft::worker::engine::generation {

/// The tokens of a sequence so far. Borrows them.
struct TokenHistory {
  std::span<const int32_t> tokens;  ///< The prompt, then what was generated.
  size_t prompt_tokens = 0;

  std::span<const int32_t> generated() const { return tokens.subspan(prompt_tokens); }
};

/// Thread safety: none; owns scratch as long as the vocabulary.
class Penalties {
 public:
  /// Whether Apply would change anything.
  static bool Change(const GenerationSettings& settings, const TokenHistory& history);

  /// Changes the scores in place, in this order:
  ///   logit_bias          score += bias
  ///   repetition_penalty  of each token in prompt or generated text, once: divides a score of 0 or
  ///                       more, multiplies one below
  ///   frequency_penalty   score -= penalty * times that the token was generated
  ///   presence_penalty    score -= penalty if it was generated at all
  ///   min_tokens          end tokens get -inf before so many were generated
  /// Tokens of the history that have no score count for nothing.
  /// Source: transformers 5.23 `_get_logits_processor` and its SequenceBias, RepetitionPenalty and
  /// MinNewTokensLength processors; OpenAI's API and vLLM for the two that transformers lacks,
  /// which stand where `generate` puts a caller's own processors.
  void Apply(const GenerationSettings& settings, const TokenHistory& history,
             std::span<float> scores);

 private:
  void Repetition(float penalty, std::span<const int32_t> tokens, std::span<float> scores);
  void Generated(float frequency, float presence, std::span<const int32_t> tokens,
                 std::span<float> scores);

  std::vector<uint32_t> counts_;  ///< By token; all 0 between calls.
};

}  // namespace graft::worker::engine::generation
