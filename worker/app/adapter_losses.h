#pragma once
/// The losses of the adapters in training, as few series: the busiest by name, the rest as one.

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace graft::worker::app {

/// Thread safety: thread-safe.
class AdapterLosses {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr size_t kMaxNamed = 20;
  static constexpr const char* kOther = "other";
  /// A job of a second is still seen by a slow scraper; an ended one doesn't stay for ever.
  static constexpr std::chrono::minutes kKeptFor{5};
  /// Adapters followed at once; beyond it the one that is silent longest is forgotten.
  static constexpr size_t kMaxFollowed = 1000;

  /// `adapter` took a step at `now` with this loss.
  void Set(const std::string& adapter, double loss, Clock::time_point now);
  /// Last loss of each adapter that took a step within kKeptFor, by name. If there are more than
  /// kMaxNamed, the rest is one entry kOther with the mean of theirs. An adapter that is itself
  /// called kOther belongs to the rest.
  std::vector<std::pair<std::string, double>> Get(Clock::time_point now) const;

 private:
  struct Entry {
    double loss = 0;
    int64_t steps = 0;
    Clock::time_point last;
  };

  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace graft::worker::app
