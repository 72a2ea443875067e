#pragma once
/// What a base says of generating text: generation_config.json, else the end tokens of config.json.
/// Source: transformers' GenerationConfig.
/// Thread safety: free functions and values.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/base/status.h"

namespace graft::bases {

/// Most tokens that may each end a text.
inline constexpr size_t kMostEndTokens = 256;

/// What a request that says nothing gets. What is absent changes nothing.
struct GenerationConfig {
  std::vector<int32_t> end_tokens;
  std::optional<double> repetition_penalty;  ///< [0.01, 100]
  std::optional<double> temperature;  ///< [0, 100]; 0, the likeliest token, without do_sample.
  std::optional<int64_t> top_k;       ///< [0, 1 << 24]
  std::optional<double> top_p;        ///< [0, 1]
  std::optional<double> min_p;        ///< [0, 1]
};

/// Fields that graft knows nothing of are left aside: a request can't ask for them either.
/// Errors: InvalidArgument if a field that it reads is of a wrong type or out of range, naming file
/// and field and what to do; as ReadFile and ParseJson.
StatusOr<GenerationConfig> ReadGenerationConfig(const std::filesystem::path& folder,
                                                int64_t vocabulary);

}  // namespace graft::bases
