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
  const bool is_short = 2 * static_cast<double>(tokens) < tokens_;
  if (is_short && shown < tokens_ && seconds <= limits_.seconds) return;
  // A short pass that took too long was held up by others, or the device is slow: the next tell.
  const double most_down = is_short ? 2 : kMostChange;
  tokens_ *= std::clamp(std::sqrt(shown / tokens_), 1 / most_down, kMostChange);
  tokens_ =
      std::clamp(tokens_, static_cast<double>(limits_.least), static_cast<double>(limits_.most));
}

}  // namespace graft::worker::engine
