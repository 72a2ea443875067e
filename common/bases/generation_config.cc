#include "common/bases/generation_config.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/file.h"
#include "common/base/json.h"

namespace graft::bases {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr int64_t kMostTopK = 1 << 24;
constexpr const char* kOwnFile = "generation_config.json";
constexpr const char* kOwnRemedy =
    "; correct it, or take the file away: without it the base takes the likeliest token each time";
constexpr const char* kConfigRemedy = "; correct it, or take it out";

/// The file as an object; null if it isn't there.
StatusOr<Json> ReadObject(const std::filesystem::path& path, const char* remedy) {
  StatusOr<std::string> text = ReadFile(path, kMaxBytes);
  if (text.status().code() == StatusCode::kNotFound) return Json();
  if (!text.ok()) return text.status();
  const std::string name = path.filename().string();
  StatusOr<Json> json = ParseJson(*text, name);
  if (!json.ok()) return Status(json.status().code(), json.status().message() + remedy);
  if (!json->is_object()) return InvalidArgumentError(name + " must be an object" + remedy);
  return json;
}

std::string Text(double value) {
  const auto whole = static_cast<int64_t>(value);
  return static_cast<double>(whole) == value ? std::to_string(whole) : Json(value).dump();
}

/// Typed reads that keep the first fault.
class Reader {
 public:
  Reader(const Json& json, std::string name, const char* remedy)
      : json_(json), name_(std::move(name)), remedy_(remedy) {}

  std::optional<double> Number(const char* field, double low, double high) {
    const Json value = json_.value(field, Json());
    if (value.is_null()) return std::nullopt;
    if (value.is_number() && value.get<double>() >= low && value.get<double>() <= high)
      return value.get<double>();
    Fail(field, "must be a number from " + Text(low) + " to " + Text(high));
    return std::nullopt;
  }
  std::optional<int64_t> Whole(const char* field, int64_t low, int64_t high) {
    const Json value = json_.value(field, Json());
    if (value.is_null()) return std::nullopt;
    if (IsWhole(value, low, high)) return value.get<int64_t>();
    Fail(field,
         "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
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
    if (value.is_null()) return {};
    const Json list = value.is_array() ? value : Json::array({value});
    std::vector<int32_t> tokens;
    if (list.size() > kMostEndTokens)
      Fail(field, "names more than " + std::to_string(kMostEndTokens) + " tokens");
    for (size_t i = 0; i < std::min(list.size(), kMostEndTokens); ++i) {
      if (IsWhole(list[i], 0, vocabulary - 1)) {
        tokens.push_back(list[i].get<int32_t>());
      } else {
        Fail(field, "must be a token, or a list of them, from 0 to " +
                        std::to_string(vocabulary - 1) + ", as config.json's vocab_size says");
      }
    }
    return tokens;
  }
  const Status& status() const { return status_; }

 private:
  static bool IsWhole(const Json& value, int64_t low, int64_t high) {
    return value.is_number_integer() && value >= low && value <= high;
  }
  void Fail(const char* field, const std::string& what) {
    if (status_.ok()) status_ = InvalidArgumentError(name_ + ": " + field + " " + what + remedy_);
  }

  const Json& json_;
  const std::string name_;
  const char* const remedy_;
  Status status_;
};

}  // namespace

StatusOr<GenerationConfig> ReadGenerationConfig(const std::filesystem::path& folder,
                                                int64_t vocabulary) {
  GenerationConfig result;
  GRAFT_ASSIGN_OR_RETURN(const Json own, ReadObject(folder / kOwnFile, kOwnRemedy));
  bool samples = false;
  if (own.is_object()) {
    Reader read(own, kOwnFile, kOwnRemedy);
    result.end_tokens = read.Tokens("eos_token_id", vocabulary);
    result.repetition_penalty = read.Number("repetition_penalty", 0.01, 100);
    samples = read.Flag("do_sample");
    if (samples) {
      result.temperature = read.Number("temperature", 0, 100);
      result.top_k = read.Whole("top_k", 0, kMostTopK);
      result.top_p = read.Number("top_p", 0, 1);
      result.min_p = read.Number("min_p", 0, 1);
    }
    GRAFT_RETURN_IF_ERROR(read.status());
  }
  if (!samples) result.temperature = 0;
  if (!result.end_tokens.empty()) return result;
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObject(folder / "config.json", kConfigRemedy));
  if (!config.is_object()) return result;
  Reader read(config, "config.json", kConfigRemedy);
  result.end_tokens = read.Tokens("eos_token_id", vocabulary);
  GRAFT_RETURN_IF_ERROR(read.status());
  return result;
}

}  // namespace graft::bases
