#pragma once
/// Ports to the store, which is the only authority. The core's operations are functions over a
/// Transaction; a store runs each one whole or not at all. Implemented by stores/memory_store and
/// stores/sqlite_store; one conformance suite.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/status.h"
#include "server/core/rows.h"

namespace graft::server::core {

/// A place among the jobs that wait: that of a job there, whether it still waits or not.
struct RunPlace {
  int priority = 0;
  TimeUs create_time = 0;
  JobKey key;
};

/// Of a Job or a RunPlace: compares as JobQuery::Order::kRunFirst sorts. Borrows from `of`.
template <typename T>
auto RunOrder(const T& of) {
  using Key = std::tuple<int64_t, TimeUs, const std::string&, const std::string&>;
  return Key(-int64_t{of.priority}, of.create_time, of.key.id, of.key.tenant);
}

/// Which jobs: all conditions that are set must hold.
struct JobQuery {
  std::string tenant;            ///< Empty: all tenants.
  std::vector<JobState> states;  ///< Empty: any.
  std::string adapter, base;
  std::map<std::string, std::string> labels;
  std::string lease_worker;                    ///< Holds the lease.
  std::optional<TimeUs> lease_expires_before;  ///< A job without a lease doesn't match.
  std::optional<TimeUs> ready_at;              ///< Its not_before isn't later.
  enum class Order {
    kNewestFirst,       ///< Id descending.
    kRunFirst,          ///< Priority descending, create_time, id, tenant.
    kLeaseExpiryFirst,  ///< Expiry (no lease: 0), id.
  } order = Order::kNewestFirst;
  std::string after_id;  ///< kNewestFirst only: ids strictly below (ids sort by time).
  std::optional<RunPlace> after_place;  ///< kRunFirst only: those strictly behind it.
  size_t limit = 50;
};

/// Reads and writes inside one transaction. Sees its own writes. Valid only during the call that
/// was given it.
class Transaction {
 public:
  virtual ~Transaction() = default;
  virtual TimeUs Now() = 0;  ///< The store's clock; constant within a transaction.

  virtual StatusOr<Job> GetJob(const JobKey& key) = 0;  ///< NotFound.
  virtual StatusOr<std::optional<Job>> FindJobByRequest(const std::string& tenant,
                                                        const std::string& request_id) = 0;
  virtual StatusOr<std::vector<Job>> ListJobs(const JobQuery& query) = 0;
  virtual StatusOr<int64_t> CountJobs(const JobQuery& query) = 0;
  /// The bases that QUEUED jobs of all tenants name, in order, each once.
  virtual StatusOr<std::vector<std::string>> QueuedBases() = 0;
  /// Inserts (revision 0) or replaces the row and appends `events`, numbered from num_events + 1;
  /// bumps revision and num_events. Key, request_id, base, adapter, labels and create_time never
  /// change after the insert.
  /// Errors: Aborted if the stored row isn't the one that `job` was read from; AlreadyExists if the
  /// id or the request_id is taken.
  virtual Status PutJob(Job& job, std::vector<JobEvent> events) = 0;
  virtual Status DeleteJob(const JobKey& key) = 0;  ///< With its events.
  virtual StatusOr<std::vector<JobEvent>> ListEvents(const JobKey& key, int64_t after,
                                                     size_t limit) = 0;

  /// NotFound.
  virtual StatusOr<Adapter> GetAdapter(const std::string& tenant, const std::string& id) = 0;
  /// By id, ascending. `base` empty: of any.
  virtual StatusOr<std::vector<Adapter>> ListAdapters(const std::string& tenant,
                                                      const std::string& base,
                                                      const std::string& after_id,
                                                      size_t limit) = 0;
  /// As PutJob: inserts at revision 0, bumps it, Aborted if the stored row is another one.
  virtual Status PutAdapter(Adapter& adapter) = 0;
  /// With its versions.
  virtual Status DeleteAdapter(const std::string& tenant, const std::string& id) = 0;

  virtual StatusOr<Version> GetVersion(const std::string& tenant, const std::string& adapter,
                                       int64_t number) = 0;
  /// The newest; NotFound.
  virtual StatusOr<Version> FindVersionByHash(const std::string& tenant, const std::string& adapter,
                                              const std::string& sha256) = 0;
  virtual StatusOr<std::optional<Version>> FindVersionByRequest(const std::string& tenant,
                                                                const std::string& request_id) = 0;
  /// Newest first, with numbers below `before_number` (0: all).
  virtual StatusOr<std::vector<Version>> ListVersions(const std::string& tenant,
                                                      const std::string& adapter,
                                                      int64_t before_number, size_t limit) = 0;
  /// Inserts. Errors: AlreadyExists if the number or request_id is taken; NotFound: no adapter.
  virtual Status PutVersion(const Version& version) = 0;
  virtual Status DeleteVersion(const std::string& tenant, const std::string& adapter,
                               int64_t number) = 0;
};

/// Thread safety: thread-safe.
class Store {
 public:
  using Work = std::function<Status(Transaction&)>;
  using Done = std::function<void(Status)>;

  virtual ~Store() = default;
  /// Runs `work` in a read-write transaction and calls `done` after its commit is durable (or with
  /// the error that `work` returned, after which nothing of it was written). `work` may run more
  /// than once; it must only touch the transaction and its own captures. Works that wait together
  /// may share one commit. `done` runs on the store's thread: hand over, don't compute. It is
  /// called exactly once; a store that is destroyed first runs what it was given.
  /// Errors: what `work` returned; ResourceExhausted if the disk is full; Unavailable if the store
  /// is away or held by another process for long; DataLoss if it is damaged. Nothing is written
  /// then, and later works run as ever.
  virtual void Write(Work work, Done done) = 0;
  /// The same over a read-only snapshot that includes every write whose `done` has been called.
  /// Errors: also Internal if `work` writes.
  virtual void Read(Work work, Done done) = 0;
  /// Calls `listener` (on the store's thread) after each commit that changed jobs, with their keys.
  /// Only a hint within this process: whoever must not miss a change also polls.
  virtual void OnJobsChanged(std::function<void(const std::vector<JobKey>&)> listener) = 0;

  /// Blocking forms, for start-up, tests and tools. Not from the store's own thread.
  Status WriteNow(Work work);
  Status ReadNow(Work work);
};

}  // namespace graft::server::core
