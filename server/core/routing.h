#pragma once
/// Which worker serves a request: pure state over what workers have said. A cache; a server that
/// restarts learns it again.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/base/ids.h"

namespace graft::server::core {

struct WorkerFacts {
  std::string id;
  std::vector<std::string> bases;     ///< It can load.
  std::vector<std::string> resident;  ///< It holds.
  bool draining = false;
};

/// Thread safety: confined to the server's strand.
class WorkerTable {
 public:
  explicit WorkerTable(TimeUs silent_after = 10'000'000) : silent_after_(silent_after) {}

  /// Adds or replaces a worker. One that holds no base has started anew, so it has no version.
  void Put(WorkerFacts facts, TimeUs now);
  /// A sign of life. False if the worker isn't known.
  bool Touch(const std::string& id, TimeUs now);
  /// What the worker can load now. True if that is news.
  bool SetBases(const std::string& id, std::vector<std::string> bases);
  /// Empty if the worker isn't known.
  std::vector<std::string> BasesOf(const std::string& id) const;
  /// The bases that it holds, and its requests under way; none if it isn't known.
  std::vector<std::string> ResidentOf(const std::string& id) const;
  int OutstandingOf(const std::string& id) const;
  /// How many workers hold the base or can load it, draining ones too.
  size_t NumThatHave(const std::string& base) const;
  void SetResident(const std::string& id, std::vector<std::string> resident, bool draining);
  void Remove(const std::string& id);
  /// Workers that have been silent too long; they are forgotten.
  std::vector<std::string> RemoveSilent(TimeUs now);

  /// Counts a request under way, and remembers that a version is loaded once one succeeded.
  void Began(const std::string& id);
  void Ended(const std::string& id, const std::string& version_sha256, bool ok);

  /// The best worker for a request, none of `excluded`: one that has the version, else one that
  /// holds the base, else one that can load it; among equals the one with fewest requests under
  /// way, then the smallest id. Draining ones never.
  std::optional<std::string> Pick(const std::string& base, const std::string& version_sha256,
                                  const std::set<std::string>& excluded = {}) const;
  /// Workers that hold the base, sorted.
  std::vector<std::string> Holders(const std::string& base) const;
  std::vector<std::string> Ids() const;

 private:
  struct Entry {
    WorkerFacts facts;
    TimeUs last_seen = 0;
    int outstanding = 0;
    std::unordered_set<std::string> versions;  ///< Served from here before.
  };
  const TimeUs silent_after_;
  std::map<std::string, Entry> workers_;
};

}  // namespace graft::server::core
