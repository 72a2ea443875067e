#include "worker/engine/serving/generation/settings.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "common/base/utf8.h"

namespace graft::worker::engine::generation {
namespace {

template <typename T>
std::string Text(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// Keeps the first fault.
class Checks {
 public:
  explicit Checks(std::string_view prefix) : prefix_(prefix) {}

  void Fail(const std::string& field, const std::string& what) {
    if (!status_.ok()) return;
    const std::string path = prefix_.empty() ? field : prefix_ + "." + field;
    status_ = InvalidArgumentError(path + " " + what).At(path);
  }
  /// In [low, high]; NaN is in no range.
  template <typename T>
  void InRange(const std::string& field, const std::optional<T>& value, T low, T high) {
    if (!value.has_value() || (*value >= low && *value <= high)) return;
    Fail(field, "is " + Text(*value) + "; it must be from " + Text(low) + " to " + Text(high));
  }
  void IsToken(const std::string& field, int32_t token, int64_t vocabulary) {
    if (token >= 0 && token < vocabulary) return;
    Fail(field, "is " + Text(token) + ", which is no token; the vocabulary's are 0 to " +
                    Text(vocabulary - 1));
  }
  void AtMost(const std::string& field, size_t count, size_t most) {
    if (count <= most) return;
    Fail(field, "has " + Text(count) + " entries; at most " + Text(most) + " are allowed");
  }
  Status Finish() && { return std::move(status_); }

 private:
  std::string prefix_;
  Status status_;
};

std::string Entry(const char* field, size_t index) {
  return std::string(field) + "[" + std::to_string(index) + "]";
}

void CheckSampling(const SamplingSettings& sampling, int64_t vocabulary, Checks& checks) {
  checks.InRange("repetition_penalty", sampling.repetition_penalty, 0.01, 100.0);
  checks.InRange("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0);
  checks.InRange("presence_penalty", sampling.presence_penalty, -2.0, 2.0);
  checks.InRange("temperature", sampling.temperature, 0.0, 100.0);
  checks.InRange("top_k", sampling.top_k, int64_t{0}, INT64_MAX);
  checks.InRange("top_p", sampling.top_p, 0.0, 1.0);
  checks.InRange("min_p", sampling.min_p, 0.0, 1.0);
  checks.InRange("logprobs", sampling.logprobs, 0, kMostLogProbabilities);
  checks.AtMost("logit_bias", sampling.logit_bias.size(), kMostBiases);
  std::vector<int32_t> biased;
  for (size_t i = 0; i < std::min(sampling.logit_bias.size(), kMostBiases); ++i) {
    const TokenBias& entry = sampling.logit_bias[i];
    checks.IsToken(Entry("logit_bias", i), entry.token, vocabulary);
    checks.InRange(Entry("logit_bias", i), std::optional(entry.bias), -100.0, 100.0);
    biased.push_back(entry.token);
  }
  std::ranges::sort(biased);
  if (const auto twice = std::ranges::adjacent_find(biased); twice != biased.end())
    checks.Fail("logit_bias", "names token " + Text(*twice) + " twice; name each once");
}

void CheckStopping(const StopSettings& stopping, const SettingsLimits& limits, Checks& checks) {
  const int64_t most = limits.context_tokens;
  checks.InRange("max_tokens", stopping.max_tokens, int64_t{1}, most);
  checks.InRange("min_tokens", stopping.min_tokens, int64_t{0}, stopping.max_tokens.value_or(most));
  checks.AtMost("end_tokens", stopping.end_tokens.size(), kMostEndTokens);
  for (size_t i = 0; i < std::min(stopping.end_tokens.size(), kMostEndTokens); ++i)
    checks.IsToken(Entry("end_tokens", i), stopping.end_tokens[i], limits.vocabulary);
  checks.AtMost("stop", stopping.stop.size(), kMostStopStrings);
  for (size_t i = 0; i < std::min(stopping.stop.size(), kMostStopStrings); ++i) {
    const std::string& text = stopping.stop[i];
    const std::string field = Entry("stop", i);
    if (text.empty()) checks.Fail(field, "is empty; leave it out");
    if (text.size() > kMostStopBytes) {
      checks.Fail(field, "has " + Text(text.size()) + " bytes; at most " + Text(kMostStopBytes) +
                             " are allowed");
    }
    if (FirstInvalidUtf8(text) != std::string_view::npos)
      checks.Fail(field, "is " + Quoted(text) + ", which is not UTF-8");
  }
}

}  // namespace

Status Validate(const GenerationSettings& settings, const SettingsLimits& limits,
                std::string_view prefix) {
  Checks checks(prefix);
  CheckSampling(settings.sampling, limits.vocabulary, checks);
  CheckStopping(settings.stopping, limits, checks);
  checks.InRange("n", settings.n, 1, kMostSequences);
  return std::move(checks).Finish();
}

}  // namespace graft::worker::engine::generation
