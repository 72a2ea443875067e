#pragma once
/// What a base says of generating text, as the settings of a request that says nothing.

#include <cstdint>
#include <filesystem>
#include <string>
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

/// Reads a base's folder. Errors: as bases::ReadGenerationConfig.
StatusOr<GenerationConfig> ReadGenerationConfig(const std::filesystem::path& folder,
                                                int64_t vocabulary);

}  // namespace graft::worker::engine
