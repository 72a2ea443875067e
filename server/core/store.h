#pragma once
/// Ports to the store, which is the only authority. The core's operations are functions over a Transaction; a store
/// runs each one whole or not at all. Implemented by stores/memory_store and stores/sqlite_store; one conformance suite.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "server/core/rows.h"

namespace graft::server::core {

/// Which jobs: all conditions that are set must hold.
struct JobQuery {
  std::string tenant;                      ///< Empty: all tenants.
  std::vector<JobState> states;            ///< Empty: any.
  std::string adapter, base;
  std::map<std::string, std::string> labels;
  std::optional<TimeUs> lease_expires_before;
  enum class Order { kNewestFirst, kRunFirst /* priority desc, then create_time asc, id asc */ } order = Order::kNewestFirst;
  std::string after_id;                    ///< kNewestFirst only: ids strictly below (ids sort by time).
  size_t limit = 50;
};

/// Reads and writes inside one transaction. Sees its own writes. Valid only during the call that was given it.
class Transaction {
 public:
  virtual ~Transaction() = default;
  virtual TimeUs Now() = 0;  ///< The store's clock; constant within a transaction.

  virtual StatusOr<Job> GetJob(const JobKey& key) = 0;  ///< NotFound.
  virtual StatusOr<std::optional<Job>> FindJobByRequest(const std::string& tenant, const std::string& request_id) = 0;
  virtual StatusOr<std::vector<Job>> ListJobs(const JobQuery& query) = 0;
  virtual StatusOr<int64_t> CountJobs(const JobQuery& query) = 0;
  /// Inserts or replaces the row and appends `events`, numbered from job.num_events + 1; bumps revision and num_events.
  virtual Status PutJob(Job& job, std::vector<JobEvent> events) = 0;
  virtual Status DeleteJob(const JobKey& key) = 0;  ///< With its events.
  virtual StatusOr<std::vector<JobEvent>> ListEvents(const JobKey& key, int64_t after, size_t limit) = 0;

  virtual StatusOr<Adapter> GetAdapter(const std::string& tenant, const std::string& id) = 0;  ///< NotFound.
  virtual StatusOr<std::vector<Adapter>> ListAdapters(const std::string& tenant, const std::string& base,
                                                      const std::string& after_id, size_t limit) = 0;
  virtual Status PutAdapter(Adapter& adapter) = 0;  ///< Bumps revision.
  virtual Status DeleteAdapter(const std::string& tenant, const std::string& id) = 0;  ///< With its versions.

  virtual StatusOr<Version> GetVersion(const std::string& tenant, const std::string& adapter, int64_t number) = 0;
  virtual StatusOr<Version> FindVersionByHash(const std::string& tenant, const std::string& adapter,
                                              const std::string& sha256) = 0;  ///< The newest; NotFound.
  virtual StatusOr<std::vector<Version>> ListVersions(const std::string& tenant, const std::string& adapter,
                                                      int64_t before_number /* 0: from newest */, size_t limit) = 0;
  virtual Status PutVersion(const Version& version) = 0;  ///< AlreadyExists if the number is taken.
  virtual Status DeleteVersion(const std::string& tenant, const std::string& adapter, int64_t number) = 0;
};

/// Thread safety: thread-safe.
class Store {
 public:
  using Work = std::function<Status(Transaction&)>;
  using Done = std::function<void(Status)>;

  virtual ~Store() = default;
  /// Runs `work` in a read-write transaction and calls `done` after its commit is durable (or with the error that
  /// `work` returned, after which nothing of it was written). `work` may run more than once; it must only touch the
  /// transaction and its own captures. Works that wait together may share one commit. `done` runs on the store's thread:
  /// hand over, don't compute.
  virtual void Write(Work work, Done done) = 0;
  /// The same over a read-only snapshot that includes every write whose `done` has been called.
  virtual void Read(Work work, Done done) = 0;
  /// Calls `listener` (on the store's thread) after each commit that changed jobs, with their keys. Only a hint within
  /// this process: whoever must not miss a change also polls.
  virtual void OnJobsChanged(std::function<void(const std::vector<JobKey>&)> listener) = 0;

  /// Blocking forms, for start-up, tests and tools. Not from the store's own thread.
  Status WriteNow(Work work);
  Status ReadNow(Work work);
};

}  // namespace graft::server::core
