#pragma once
/// The bases that are resident, least recently used first out by bytes; one in use never leaves.
/// Each is held in the device's ledger for as long as anybody has it.

#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "worker/engine/device/ledger.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/model.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

struct LoadedBase {
  std::shared_ptr<const Base> base;
  std::shared_ptr<const Model> model;
};

/// Thread safety: thread-safe.
class BaseCache {
 public:
  /// Called for a base that is to leave, with the number of those who hold it: lets go of what is
  /// only kept for later use, if nobody else holds it.
  using DropIdle = std::function<void(const Base&, int64_t holders)>;
  /// Called for a base whose files were replaced: releases everything that serves on it.
  using DropAll = std::function<void(const Base&)>;
  /// How many of a base's holders drop_idle would let go, if they were all.
  using CountIdle = std::function<int64_t(const Base&)>;
  /// What else is kept on bases; each may be empty.
  struct Dependents {
    DropIdle drop_idle;
    DropAll drop_all;
    CountIdle count_idle;
  };

  BaseCache(std::filesystem::path folder, at::Device device, int64_t max_bytes,
            std::shared_ptr<Ledger> ledger, Dependents dependents = {})
      : folder_(std::move(folder)),
        device_(device),
        max_bytes_(max_bytes),
        ledger_(std::move(ledger)),
        dependents_(std::move(dependents)) {}

  /// Returns the base in `compute`, loading it if need be; two callers of one absent base share one
  /// load. "In use" is a shared_ptr held by anyone. If memory runs out,
  /// all that aren't leave first. `between`, if set, is called often while it is loaded or awaited,
  /// and ends this call with its error: who else wants the base loads it then.
  /// Errors: NotFound if there is no such folder; FailedPrecondition with reason BASE_UNUSABLE if a
  /// file of it is torn; ResourceExhausted as Ledger::Reserve; else as Base::Load.
  StatusOr<LoadedBase> Get(const std::string& id, at::ScalarType compute,
                           const std::function<Status()>& between = {});
  /// Drops the bases whose folder was changed or removed since they were read, so that Get returns
  /// what is there now. Who holds one keeps it to the end of what it does.
  void DropChanged();
  /// Drops bases that nobody uses until `bytes` are free by it or none is left. Returns how many
  /// are.
  int64_t EvictIdle(int64_t bytes);
  bool Holds(const std::string& id, at::ScalarType compute) const;
  std::vector<std::string> Ids() const;
  std::vector<std::shared_ptr<const Base>> Resident() const;
  struct Use {
    std::string id;
    at::ScalarType compute;
    int64_t bytes = 0;
    bool is_idle = false;  ///< It would leave for something else.
  };
  std::vector<Use> Uses() const;

 private:
  using Key = std::pair<std::string, at::ScalarType>;
  struct Entry {
    Key key;
    LoadedBase loaded;
  };
  StatusOr<LoadedBase> Load(const Key& key, const std::function<Status()>& between) const;
  /// Requires: mutex_.
  int64_t BytesKept() const;
  /// Drops bases that nobody uses until `bytes` are free by it. Requires: mutex_.
  int64_t Evict(int64_t bytes);
  /// Requires: mutex_.
  std::list<Entry>::iterator Drop(std::list<Entry>::iterator entry);

  const std::filesystem::path folder_;
  const at::Device device_;
  const int64_t max_bytes_;
  const std::shared_ptr<Ledger> ledger_;
  const Dependents dependents_;
  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  std::list<Entry> entries_;  ///< Most recently used first.
  std::set<Key> loading_;
};

}  // namespace graft::worker::engine
