#pragma once
/// core::Transaction over one SQLite connection. Begun and ended by its owner, the store.

#include <set>
#include <string>
#include <vector>

#include "server/core/store.h"
#include "server/stores/sqlite.h"

namespace graft::server::stores {

/// Borrows the connection. Thread safety: confined to the connection's thread.
class SqliteTransaction : public core::Transaction {
 public:
  enum class Mode { kRead, kReadWrite };
  SqliteTransaction(Sqlite& db, Mode mode, TimeUs now) : db_(db), mode_(mode), now_(now) {}
  /// The jobs that were written so far.
  const std::set<core::JobKey>& changed() const { return changed_; }

  TimeUs Now() override { return now_; }
  StatusOr<core::Job> GetJob(const core::JobKey& key) override;
  StatusOr<std::optional<core::Job>> FindJobByRequest(const std::string& tenant,
                                                      const std::string& request_id) override;
  StatusOr<std::vector<core::Job>> ListJobs(const core::JobQuery& query) override;
  StatusOr<int64_t> CountJobs(const core::JobQuery& query) override;
  StatusOr<std::vector<std::string>> QueuedBases() override;
  Status PutJob(core::Job& job, std::vector<core::JobEvent> events) override;
  Status DeleteJob(const core::JobKey& key) override;
  StatusOr<std::vector<core::JobEvent>> ListEvents(const core::JobKey& key, int64_t after,
                                                   size_t limit) override;

  StatusOr<core::Adapter> GetAdapter(const std::string& tenant, const std::string& id) override;
  StatusOr<std::vector<core::Adapter>> ListAdapters(const std::string& tenant,
                                                    const std::string& base,
                                                    const std::string& after_id,
                                                    size_t limit) override;
  Status PutAdapter(core::Adapter& adapter) override;
  Status DeleteAdapter(const std::string& tenant, const std::string& id) override;

  StatusOr<core::Version> GetVersion(const std::string& tenant, const std::string& adapter,
                                     int64_t number) override;
  StatusOr<core::Version> FindVersionByHash(const std::string& tenant, const std::string& adapter,
                                            const std::string& sha256) override;
  StatusOr<std::optional<core::Version>> FindVersionByRequest(
      const std::string& tenant, const std::string& request_id) override;
  StatusOr<std::vector<core::Version>> ListVersions(const std::string& tenant,
                                                    const std::string& adapter,
                                                    int64_t before_number, size_t limit) override;
  Status PutVersion(const core::Version& version) override;
  Status DeleteVersion(const std::string& tenant, const std::string& adapter,
                       int64_t number) override;

 private:
  Status CheckWritable() const;
  /// Writes the row; returns its number in the table. Requires: revision is already the new one.
  StatusOr<int64_t> InsertJob(const core::Job& job);
  StatusOr<int64_t> UpdateJob(const core::Job& job);

  Sqlite& db_;
  const Mode mode_;
  const TimeUs now_;
  std::set<core::JobKey> changed_;
};

}  // namespace graft::server::stores
