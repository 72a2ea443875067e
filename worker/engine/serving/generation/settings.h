#pragma once
/// What a request may ask of a generation. Plain values: no torch, no proto.
/// Thread safety: values.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::worker::engine::generation {

/// Below it a temperature is 0: dividing by less leaves the range of fp32. As in vLLM.
inline constexpr double kLeastTemperature = 1e-5;
inline constexpr size_t kMostStopStrings = 16;
inline constexpr size_t kMostStopBytes = 512;  ///< Of one stop string.
inline constexpr size_t kMostEndTokens = 256;
inline constexpr size_t kMostBiases = 1024;
inline constexpr int32_t kMostLogProbabilities = 20;  ///< As OpenAI's API.
/// Of one request, and of all that run at once: a request's sequences share its prompt's blocks, so
/// they start together.
inline constexpr int32_t kMostSequences = 64;

struct TokenBias {
  int32_t token = 0;
  double bias = 0;  ///< Added to its logit, [-100, 100].
};

/// How the next token is chosen of a row of logits. What is absent changes nothing; there are no
/// defaults beside that (transformers' own top_k of 50 is none of ours). In the order in which they
/// apply; sampling.h says how.
struct SamplingSettings {
  std::vector<TokenBias> logit_bias;         ///< Each token once.
  std::optional<double> repetition_penalty;  ///< [0.01, 100]; 1 changes nothing.
  std::optional<double> frequency_penalty;   ///< [-2, 2]
  std::optional<double> presence_penalty;    ///< [-2, 2]
  std::optional<double> temperature;  ///< [0, 100]; 1 if absent; below kLeastTemperature: greedy.
  std::optional<int64_t> top_k;       ///< 0 and more than the vocabulary change nothing.
  std::optional<double> top_p;        ///< [0, 1]; at 0 one token is left.
  std::optional<double> min_p;        ///< [0, 1]

  /// How many of the likeliest tokens to tell with their log-probabilities; at 0 only the chosen
  /// one's; absent: none.
  std::optional<int32_t> logprobs;

  bool is_greedy() const { return temperature.has_value() && *temperature < kLeastTemperature; }
};

/// When a sequence ends, beside its context's end.
struct StopSettings {
  std::vector<int32_t> end_tokens;    ///< The model's and the request's own; each ends it.
  std::optional<int64_t> min_tokens;  ///< Before so many were generated no end token is chosen.
  std::optional<int64_t> max_tokens;  ///< At least 1; as many as fit if absent.
  std::vector<std::string> stop;      ///< Strings; they end it at any length.
};

struct GenerationSettings {
  SamplingSettings sampling;
  StopSettings stopping;
  std::optional<int32_t> n;      ///< Sequences for one prompt; 1 if absent.
  std::optional<uint64_t> seed;  ///< Who admits a request without one draws it.
};

/// What the settings must fit.
struct SettingsLimits {
  int64_t vocabulary = 0;      ///< Logits in a row.
  int64_t context_tokens = 0;  ///< Of prompt and generated text together.
};

/// Checks every field. Whether prompt and max_tokens fit together is checked where both are known.
/// Errors: InvalidArgument at the first field that is wrong, with its path behind `prefix`
/// ("generation.top_p", "generation.stop[2]") and the range that it must be in.
Status Validate(const GenerationSettings& settings, const SettingsLimits& limits,
                std::string_view prefix = "generation");

}  // namespace graft::worker::engine::generation
