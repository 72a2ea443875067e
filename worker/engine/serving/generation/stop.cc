#include "worker/engine/serving/generation/stop.h"

#include <algorithm>

namespace graft::worker::engine::generation {

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kFailed:
      break;
  }
  return "failed";
}

StopConditions::StopConditions(const StopSettings& settings, const StopStrings& strings,
                               int64_t most_tokens)
    : settings_(&settings),
      text_(strings),
      most_tokens_(std::min(settings.max_tokens.value_or(most_tokens), most_tokens)) {}

void StopConditions::EndAtString() {
  finish_ = {.reason = FinishReason::kStop, .end_token = {}, .stop_string = text_.found()};
}

std::string_view StopConditions::Add(int32_t token, std::string_view piece) {
  ++generated_;
  if (std::ranges::find(settings_->end_tokens, token) != settings_->end_tokens.end()) {
    finish_ = {.reason = FinishReason::kStop, .end_token = token, .stop_string = {}};
    return {};
  }
  const std::string_view shown = text_.Add(piece);
  if (text_.found().has_value()) {
    EndAtString();
  } else if (generated_ >= most_tokens_) {
    End(FinishReason::kLength);
  }
  return shown;
}

void StopConditions::End(FinishReason reason) {
  if (!finish_.has_value()) finish_ = {.reason = reason, .end_token = {}, .stop_string = {}};
}

std::string_view StopConditions::Close(std::string_view tail) {
  if (text_.found().has_value()) return {};
  const std::string_view shown = text_.Close(tail);
  if (text_.found().has_value()) EndAtString();
  return shown;
}

}  // namespace graft::worker::engine::generation
