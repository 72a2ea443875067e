#include "server/core/routing.h"

#include <algorithm>
#include <tuple>

namespace graft::server::core {
namespace {

/// Versions remembered a worker; only a hint, so it may forget.
constexpr size_t kMaxVersions = 10'000;

bool Contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

void WorkerTable::Put(WorkerFacts facts, TimeUs now) {
  Entry& entry = workers_[facts.id];
  if (facts.resident.empty()) entry.versions.clear();
  entry.facts = std::move(facts);
  entry.last_seen = now;
}

bool WorkerTable::Touch(const std::string& id, TimeUs now) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return false;
  found->second.last_seen = now;
  return true;
}

bool WorkerTable::SetBases(const std::string& id, std::vector<std::string> bases) {
  const auto found = workers_.find(id);
  if (found == workers_.end() || found->second.facts.bases == bases) return false;
  found->second.facts.bases = std::move(bases);
  return true;
}

std::vector<std::string> WorkerTable::BasesOf(const std::string& id) const {
  const auto found = workers_.find(id);
  return found != workers_.end() ? found->second.facts.bases : std::vector<std::string>();
}

std::vector<std::string> WorkerTable::ResidentOf(const std::string& id) const {
  const auto worker = workers_.find(id);
  return worker == workers_.end() ? std::vector<std::string>() : worker->second.facts.resident;
}

int WorkerTable::OutstandingOf(const std::string& id) const {
  const auto worker = workers_.find(id);
  return worker == workers_.end() ? 0 : worker->second.outstanding;
}

size_t WorkerTable::NumThatHave(const std::string& base) const {
  return static_cast<size_t>(std::count_if(workers_.begin(), workers_.end(), [&](const auto& w) {
    return Contains(w.second.facts.resident, base) || Contains(w.second.facts.bases, base);
  }));
}

void WorkerTable::SetResident(const std::string& id, std::vector<std::string> resident,
                              bool draining) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  found->second.facts.resident = std::move(resident);
  found->second.facts.draining = draining;
}

void WorkerTable::Remove(const std::string& id) { workers_.erase(id); }

std::vector<std::string> WorkerTable::RemoveSilent(TimeUs now) {
  std::vector<std::string> gone;
  for (const auto& [id, entry] : workers_) {
    if (now - entry.last_seen > silent_after_) gone.push_back(id);
  }
  for (const std::string& id : gone) workers_.erase(id);
  return gone;
}

void WorkerTable::Began(const std::string& id) {
  if (const auto found = workers_.find(id); found != workers_.end()) ++found->second.outstanding;
}

void WorkerTable::Ended(const std::string& id, const std::string& version_sha256, bool ok) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  Entry& entry = found->second;
  entry.outstanding = std::max(0, entry.outstanding - 1);
  if (!ok || version_sha256.empty()) return;
  if (entry.versions.size() >= kMaxVersions) entry.versions.clear();
  entry.versions.insert(version_sha256);
}

std::optional<std::string> WorkerTable::Pick(const std::string& base,
                                             const std::string& version_sha256,
                                             const std::set<std::string>& excluded) const {
  std::optional<std::tuple<int, int, std::string>> best;
  for (const auto& [id, entry] : workers_) {
    if (entry.facts.draining || excluded.contains(id)) continue;
    const bool holds = Contains(entry.facts.resident, base);
    if (!holds && !Contains(entry.facts.bases, base)) continue;
    const int distance = entry.versions.contains(version_sha256) ? 0 : holds ? 1 : 2;
    const std::tuple<int, int, std::string> rank{distance, entry.outstanding, id};
    if (!best || rank < *best) best = rank;
  }
  if (!best) return {};
  return std::get<2>(*best);
}

std::vector<std::string> WorkerTable::Holders(const std::string& base) const {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : workers_) {
    if (Contains(entry.facts.resident, base)) ids.push_back(id);
  }
  return ids;
}

std::vector<std::string> WorkerTable::Ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : workers_) ids.push_back(id);
  return ids;
}

}  // namespace graft::server::core
