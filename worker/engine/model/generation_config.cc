#include "worker/engine/model/generation_config.h"

#include <string>
#include <utility>

#include "common/bases/generation_config.h"

namespace graft::worker::engine {

static_assert(bases::kMostEndTokens <= generation::kMostEndTokens);

StatusOr<GenerationConfig> ReadGenerationConfig(const std::filesystem::path& folder,
                                                int64_t vocabulary) {
  GRAFT_ASSIGN_OR_RETURN(bases::GenerationConfig read,
                         bases::ReadGenerationConfig(folder, vocabulary));
  GenerationConfig result;
  result.end_tokens = std::move(read.end_tokens);
  result.sampling.repetition_penalty = read.repetition_penalty;
  result.sampling.temperature = read.temperature;
  result.sampling.top_k = read.top_k;
  result.sampling.top_p = read.top_p;
  result.sampling.min_p = read.min_p;
  return result;
}

std::vector<std::string> SettingsWithoutEffect(const GenerationConfig& base,
                                               const generation::GenerationSettings& settings) {
  const generation::SamplingSettings& asked = settings.sampling;
  if (asked.temperature || !base.sampling.is_greedy()) return {};
  std::vector<std::string> paths;
  const auto add = [&](bool is_asked, const char* name) {
    if (is_asked) paths.push_back(std::string("generation.") + name);
  };
  add(settings.n.value_or(1) > 1, "n");
  add(settings.seed.has_value(), "seed");
  // Not what would change nothing at any temperature.
  add(asked.top_k.value_or(0) != 0, "top_k");
  add(asked.top_p.value_or(1) != 1, "top_p");
  add(asked.min_p.value_or(0) != 0, "min_p");
  return paths;
}

void SetDefaults(const GenerationConfig& base, generation::GenerationSettings& settings) {
  generation::SamplingSettings& own = settings.sampling;
  if (!own.temperature) own.temperature = base.sampling.temperature;
  if (!own.top_k) own.top_k = base.sampling.top_k;
  if (!own.top_p) own.top_p = base.sampling.top_p;
  if (!own.min_p) own.min_p = base.sampling.min_p;
  if (!own.repetition_penalty) own.repetition_penalty = base.sampling.repetition_penalty;
  std::vector<int32_t>& ends = settings.stopping.end_tokens;
  ends.insert(ends.end(), base.end_tokens.begin(), base.end_tokens.end());
}

}  // namespace graft::worker::engine
