#pragma once
/// What a base says of generating text: generation_config.json, else the end tokens of config.json.
/// Source: transformers' GenerationConfig.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/base/status.h"
#include "worker/engine/serving/generation/settings.h"

namespace graft::worker::engine {

struct GenerationConfig {
  std::vector<int32_t> end_tokens;
  /// What a request that says nothing gets; greedy where do_sample is false or absent.
  generation::SamplingSettings sampling;
};

/// The settings of a request, by path ("generation.top_p"), that ask for other tokens than the
/// likeliest and get none, because the request leaves the temperature to the base, whose own is 0.
/// Requires: the base hasn't filled in its own yet.
std::vector<std::string> SettingsWithoutEffect(const GenerationConfig& base,
                                               const generation::GenerationSettings& settings);

/// Fills in what `settings` leave to the base.
void SetDefaults(const GenerationConfig& base, generation::GenerationSettings& settings);

/// Fields that graft knows nothing of are left aside: a request can't ask for them either.
/// Errors: InvalidArgument if a field that it reads is of a wrong type or out of range, naming file
/// and field.
StatusOr<GenerationConfig> ReadGenerationConfig(const std::filesystem::path& folder,
                                                int64_t vocabulary);

}  // namespace graft::worker::engine
