#pragma once
/// When a sequence's text ends, and what of it is shown.

#include <cstdint>
#include <optional>
#include <string_view>

#include "worker/engine/serving/generation/settings.h"
#include "worker/engine/serving/generation/stop_strings.h"

namespace graft::worker::engine::generation {

enum class FinishReason {
  kStop,       ///< An end token, or a stop string.
  kLength,     ///< max_tokens were generated, or no more fit in the context or the cache.
  kCancelled,  ///< The caller went away, or its deadline passed.
  kFailed,     ///< The engine could not go on.
};

/// "stop", "length", "cancelled", "failed"; the first two as OpenAI's API has them.
std::string_view FinishReasonName(FinishReason reason);

struct Finish {
  FinishReason reason = FinishReason::kStop;
  std::optional<int32_t> end_token;   ///< Which, if one ended it.
  std::optional<size_t> stop_string;  ///< Which of the settings' list, if one ended it.
};

/// One sequence from its first token to its end. Its life:
///   Add for each token until finish() is set; or End, from outside; then Close, once.
/// The text is what Add and Close return, joined.
/// Thread safety: none. Borrows the settings and strings.
class StopConditions {
 public:
  /// `strings` are those of the settings. `most_tokens`: what context and cache hold behind the
  /// prompt, at least 1.
  StopConditions(const StopSettings& settings, const StopStrings& strings, int64_t most_tokens);

  /// Takes a token that was chosen, and the text that the detokeniser has with it (none while a
  /// character isn't whole); an end token's text is dropped. Returns what can be shown now; valid
  /// until the next call. Several reasons at once: an end token, then a stop string, then length.
  /// Requires: finish() isn't set.
  std::string_view Add(int32_t token, std::string_view piece);

  /// Ends it for another reason; nothing if it has ended.
  void End(FinishReason reason);

  /// Takes what the detokeniser still held, and returns the text that was held back, cut at a stop
  /// string if one becomes complete; then that is why it ended.
  /// Requires: finish() is set.
  std::string_view Close(std::string_view tail = {});

  const std::optional<Finish>& finish() const { return finish_; }
  /// Tokens taken, an end token too.
  int64_t generated() const { return generated_; }

 private:
  void EndAtString();

  const StopSettings* settings_;
  StopStream text_;
  int64_t most_tokens_;
  int64_t generated_ = 0;
  std::optional<Finish> finish_;
};

}  // namespace graft::worker::engine::generation
