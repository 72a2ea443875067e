#pragma once
/// core::Transaction over maps: changes them in place and remembers how to undo it.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "server/core/store.h"

namespace graft::server::stores {

struct MemoryTables {
  using AdapterKey = std::pair<std::string, std::string>;            ///< tenant, id
  using VersionKey = std::tuple<std::string, std::string, int64_t>;  ///< tenant, adapter, number
  std::map<core::JobKey, core::Job> jobs;
  std::map<core::JobKey, std::vector<core::JobEvent>> events;
  std::map<std::pair<std::string, std::string>, core::JobKey> requests;  ///< tenant, request_id
  std::map<AdapterKey, core::Adapter> adapters;
  std::map<VersionKey, core::Version> versions;
};

/// Borrows the tables. Requires: no one else uses them meanwhile.
class MemoryTransaction : public core::Transaction {
 public:
  enum class Mode { kRead, kReadWrite };
  MemoryTransaction(MemoryTables& tables, Mode mode, TimeUs now)
      : tables_(tables), mode_(mode), now_(now) {}
  const std::set<core::JobKey>& changed() const { return changed_; }
  /// Takes every write back.
  void Undo();

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
  /// Remembers what `map[key]` was. Called before each change.
  template <typename Map>
  void Remember(Map& map, const typename Map::key_type& key);

  MemoryTables& tables_;
  const Mode mode_;
  const TimeUs now_;
  std::set<core::JobKey> changed_;
  std::vector<std::function<void()>> undo_;
};

}  // namespace graft::server::stores
