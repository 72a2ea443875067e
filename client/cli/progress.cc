#include "client/cli/progress.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace graft::cli {

std::string Duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return std::to_string(whole) + "s";
  if (whole < 3600) return std::to_string(whole / 60) + "m" + std::to_string(whole % 60) + "s";
  return std::to_string(whole / 3600) + "h" + std::to_string(whole % 3600 / 60) + "m";
}

std::string Bar(double share) {
  constexpr int kWidth = 24;
  const int full = std::clamp(static_cast<int>(share * kWidth), 0, kWidth);
  return "[" + std::string(static_cast<size_t>(full), '=') +
         std::string(static_cast<size_t>(kWidth - full), ' ') + "] ";
}

void TextProgress::Draw(size_t done) {
  if (!context_.err_terminal || context_.json) return;
  context_.out.flush();  // Both may be one terminal.
  const double share = static_cast<double>(done) / static_cast<double>(total_);
  std::string line = Bar(share) + std::to_string(done) + "/" + std::to_string(total_) + " texts";
  if (done > 0) {
    const std::chrono::duration<double> took = SteadyClock::now() - begin_;
    line += "  " + Duration(took.count() / share * (1 - share)) + " left";
  }
  context_.err << "\r\033[K" << line << std::flush;
  drawn_ = true;
}

void TextProgress::Clear() {
  if (std::exchange(drawn_, false)) context_.err << "\r\033[K" << std::flush;
}

}  // namespace graft::cli
