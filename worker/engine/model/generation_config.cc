#include "worker/engine/model/generation_config.h"

#include <string>
#include <utility>

#include "common/base/file.h"
#include "common/base/json.h"

namespace graft::worker::engine {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

/// The file as an object; null if it isn't there.
StatusOr<Json> ReadObject(const std::filesystem::path& path) {
  StatusOr<std::string> text = ReadFile(path, kMaxBytes);
  if (text.status().code() == StatusCode::kNotFound) return Json();
  if (!text.ok()) return text.status();
  const std::string name = path.filename().string();
  GRAFT_ASSIGN_OR_RETURN(Json json, ParseJson(*text, name));
  if (!json.is_object()) return InvalidArgumentError(name + " must be an object");
  return json;
}

/// Typed reads that keep the first fault.
class Reader {
 public:
  Reader(const Json& json, std::string name) : json_(json), name_(std::move(name)) {}

  std::optional<double> Number(const char* field, double low, double high) {
    const Json value = json_.value(field, Json());
    if (value.is_null()) return std::nullopt;
    if (value.is_number() && value.get<double>() >= low && value.get<double>() <= high)
      return value.get<double>();
    Fail(field, "is out of range or no number");
    return std::nullopt;
  }
  bool Flag(const char* field) {
    const Json value = json_.value(field, Json());
    if (!value.is_null() && !value.is_boolean()) Fail(field, "must be true or false");
    return value.is_boolean() && value.get<bool>();
  }
  /// A token, a list of them, or none.
  std::vector<int32_t> Tokens(const char* field, int64_t vocabulary) {
    const Json value = json_.value(field, Json());
    std::vector<int32_t> tokens;
    const auto add = [&](const Json& one) {
      if (one.is_number_integer() && one.get<int64_t>() >= 0 && one.get<int64_t>() < vocabulary)
        return tokens.push_back(one.get<int32_t>());
      Fail(field, "names a token that the vocabulary doesn't have");
    };
    if (value.is_array() && value.size() <= generation::kMostEndTokens) {
      for (const Json& one : value) add(one);
    } else if (!value.is_null()) {
      add(value);
    }
    return tokens;
  }
  const Status& status() const { return status_; }

 private:
  void Fail(const char* field, const std::string& what) {
    if (status_.ok()) status_ = InvalidArgumentError(name_ + ": " + field + " " + what);
  }

  const Json& json_;
  const std::string name_;
  Status status_;
};

}  // namespace

StatusOr<GenerationConfig> ReadGenerationConfig(const std::filesystem::path& folder,
                                                int64_t vocabulary) {
  GenerationConfig result;
  GRAFT_ASSIGN_OR_RETURN(const Json own, ReadObject(folder / "generation_config.json"));
  if (own.is_object()) {
    Reader read(own, "generation_config.json");
    result.end_tokens = read.Tokens("eos_token_id", vocabulary);
    result.sampling.repetition_penalty = read.Number("repetition_penalty", 0.01, 100);
    if (read.Flag("do_sample")) {
      result.sampling.temperature = read.Number("temperature", 0, 100);
      if (const auto top_k = read.Number("top_k", 0, 1 << 24))
        result.sampling.top_k = static_cast<int64_t>(*top_k);
      result.sampling.top_p = read.Number("top_p", 0, 1);
      result.sampling.min_p = read.Number("min_p", 0, 1);
    } else {
      result.sampling.temperature = 0;
    }
    GRAFT_RETURN_IF_ERROR(read.status());
    if (!result.end_tokens.empty()) return result;
  }
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObject(folder / "config.json"));
  Reader read(config, "config.json");
  result.end_tokens = read.Tokens("eos_token_id", vocabulary);
  GRAFT_RETURN_IF_ERROR(read.status());
  if (!own.is_object()) result.sampling.temperature = 0;
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
