#include "worker/engine/serving/scheduler/pass_size.h"

#include <algorithm>
#include <cmath>

namespace graft::worker::engine {
namespace {

constexpr double kMostChange = 4;

}  // namespace

void PassSize::Ran(int64_t tokens, double seconds) {
  if (tokens <= 0 || !std::isfinite(seconds)) return;
  seconds = std::max(seconds, 1e-6);  // A clock may stand still.
  const double shown = limits_.seconds * static_cast<double>(tokens) / seconds;
  if (2 * static_cast<double>(tokens) < tokens_ && shown < tokens_) {
    // It was held up by others, or the device is slow: a longer pass tells, but none that is long.
    const double first = std::min(tokens_, static_cast<double>(limits_.first));
    if (seconds > limits_.seconds) tokens_ = std::max(tokens_ / 2, first);
    return;
  }
  tokens_ *= std::clamp(std::sqrt(shown / tokens_), 1 / kMostChange, kMostChange);
  tokens_ =
      std::clamp(tokens_, static_cast<double>(limits_.least), static_cast<double>(limits_.most));
}

}  // namespace graft::worker::engine
