#pragma once
/// The adapter versions that are resident, least recently used first out by bytes; one in use never
/// leaves.

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/caches/base_cache.h"
#include "worker/engine/device/ledger.h"
#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {

/// A version ready to serve. Const after loading; dropped when the last request that holds it is
/// done.
struct ResidentVersion {
  Holding memory;  ///< What is below, in the device's ledger.
  VersionId id;
  std::unique_ptr<const Adapter> adapter;
  LoadedBase on;
  std::shared_ptr<const Task> task;
  int max_length = 512;
  std::optional<bool> has_pair;              ///< Trained on pairs of texts; empty if unknown.
  std::optional<std::string> chat_template;  ///< Its own, if it has one.
  int64_t bytes = 0;                         ///< Its buffer on the device.
  int64_t tensor_bytes = 0;                  ///< Of its tensors alone.
};

/// Thread safety: thread-safe.
class AdapterCache {
 public:
  explicit AdapterCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  /// Null if it isn't resident; counts a hit or a miss.
  std::shared_ptr<const ResidentVersion> Find(const VersionId& id);
  bool Has(const VersionId& id) const;
  void Put(std::shared_ptr<const ResidentVersion> version);
  void Erase(const VersionId& id);
  /// Drops the versions on `base`; requests that hold one end on it.
  void EraseOn(const Base& base);
  /// Drops the versions on `base` if no request holds one of them and they alone are its `holders`.
  void EraseIdle(const Base& base, int64_t holders);
  /// How many versions on `base` no request holds.
  int64_t NumIdleOn(const Base& base) const;
  /// Drops versions that no request holds until `bytes` are free by it or none is left. Returns how
  /// many are.
  int64_t EvictIdle(int64_t bytes);
  /// Of versions that no request holds.
  int64_t idle_bytes() const;

  struct Figures {
    int64_t count = 0, bytes = 0, tensor_bytes = 0, hits = 0, misses = 0;
  };
  Figures figures() const;

 private:
  using List = std::list<std::shared_ptr<const ResidentVersion>>;
  void EraseLocked(List::iterator entry);

  const int64_t max_bytes_;
  mutable std::mutex mutex_;
  List entries_;  ///< Most recently used first.
  std::unordered_map<VersionId, List::iterator> index_;
  Figures figures_;
};

}  // namespace graft::worker::engine
