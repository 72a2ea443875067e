#include "worker/app/adapter_losses.h"

#include <algorithm>

namespace graft::worker::app {

void AdapterLosses::Set(const std::string& adapter, double loss, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  auto [found, is_new] = entries_.try_emplace(adapter);
  Entry& entry = found->second;
  // A job after a long pause is another job: it has yet to show that it is busy.
  if (now - entry.last > kKeptFor) entry.steps = 0;
  entry.loss = loss;
  entry.last = now;
  ++entry.steps;
  if (!is_new) return;
  std::erase_if(entries_, [now](const auto& e) { return now - e.second.last > kKeptFor; });
  if (entries_.size() <= kMaxFollowed) return;
  entries_.erase(
      std::min_element(entries_.begin(), entries_.end(),
                       [](const auto& a, const auto& b) { return a.second.last < b.second.last; }));
}

std::vector<std::pair<std::string, double>> AdapterLosses::Get(Clock::time_point now) const {
  std::vector<std::pair<std::string, Entry>> named;
  double rest = 0;
  int64_t num_rest = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [adapter, entry] : entries_) {
      if (now - entry.last > kKeptFor) continue;
      if (adapter != kOther) {
        named.emplace_back(adapter, entry);
      } else {
        rest += entry.loss;
        ++num_rest;
      }
    }
  }
  std::stable_sort(named.begin(), named.end(),
                   [](const auto& a, const auto& b) { return a.second.steps > b.second.steps; });
  for (; named.size() > kMaxNamed; named.pop_back(), ++num_rest) rest += named.back().second.loss;
  std::vector<std::pair<std::string, double>> losses;
  for (const auto& [adapter, entry] : named) losses.emplace_back(adapter, entry.loss);
  if (num_rest > 0) losses.emplace_back(kOther, rest / static_cast<double>(num_rest));
  std::sort(losses.begin(), losses.end());
  return losses;
}

}  // namespace graft::worker::app
