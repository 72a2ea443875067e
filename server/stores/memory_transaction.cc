#include "server/stores/memory_transaction.h"

#include <algorithm>
#include <set>

#include "server/stores/job_query.h"

namespace graft::server::stores {

using core::Adapter;
using core::Job;
using core::JobEvent;
using core::JobKey;
using core::JobQuery;
using core::Version;

Status MemoryTransaction::CheckWritable() const {
  if (mode_ == Mode::kReadWrite) return OkStatus();
  return InternalError("a read-only transaction can't write");
}

template <typename Map>
void MemoryTransaction::Remember(Map& map, const typename Map::key_type& key) {
  const auto found = map.find(key);
  if (found == map.end()) {
    undo_.push_back([&map, key] { map.erase(key); });
  } else {
    undo_.push_back([&map, key, old = found->second] { map[key] = old; });
  }
}

void MemoryTransaction::Undo() {
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) (*undo)();
  undo_.clear();
  changed_.clear();
}

StatusOr<Job> MemoryTransaction::GetJob(const JobKey& key) {
  const auto found = tables_.jobs.find(key);
  if (found == tables_.jobs.end()) return NotFoundError("there is no job " + key.id);
  return found->second;
}

StatusOr<std::optional<Job>> MemoryTransaction::FindJobByRequest(const std::string& tenant,
                                                                 const std::string& request_id) {
  const auto found = tables_.requests.find({tenant, request_id});
  if (found == tables_.requests.end()) return std::optional<Job>();
  return std::optional<Job>(tables_.jobs.at(found->second));
}

StatusOr<std::vector<Job>> MemoryTransaction::ListJobs(const JobQuery& query) {
  std::vector<const Job*> found;
  for (const auto& [key, job] : tables_.jobs) {
    if (Matches(job, query)) found.push_back(&job);
  }
  std::sort(found.begin(), found.end(),
            [&](const Job* a, const Job* b) { return ComesBefore(query.order, *a, *b); });
  if (found.size() > query.limit) found.resize(query.limit);
  std::vector<Job> jobs;
  for (const Job* job : found) jobs.push_back(*job);
  return jobs;
}

StatusOr<int64_t> MemoryTransaction::CountJobs(const JobQuery& query) {
  return std::count_if(tables_.jobs.begin(), tables_.jobs.end(),
                       [&](const auto& entry) { return Matches(entry.second, query); });
}

StatusOr<std::vector<std::string>> MemoryTransaction::QueuedBases() {
  std::set<std::string> bases;
  for (const auto& [key, job] : tables_.jobs) {
    if (job.state == core::JobState::kQueued) bases.insert(job.base);
  }
  return std::vector<std::string>(bases.begin(), bases.end());
}

Status MemoryTransaction::PutJob(Job& job, std::vector<JobEvent> events) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  const auto found = tables_.jobs.find(job.key);
  const std::pair request{job.key.tenant, job.request_id};
  if (job.revision == 0) {
    if (found != tables_.jobs.end()) return AlreadyExistsError("there is a job " + job.key.id);
    if (!job.request_id.empty() && tables_.requests.contains(request)) {
      return AlreadyExistsError("request_id " + job.request_id + " was used before");
    }
  } else if (found == tables_.jobs.end() || found->second.revision != job.revision) {
    return AbortedError("job " + job.key.id + " was changed meanwhile; read it again, then retry");
  }
  if (job.revision == 0 && !job.request_id.empty()) {
    Remember(tables_.requests, request);
    tables_.requests[request] = job.key;
  }
  std::vector<JobEvent>& log = tables_.events[job.key];
  undo_.push_back([this, key = job.key, size = log.size()] { tables_.events[key].resize(size); });
  for (JobEvent& event : events) {
    event.number = ++job.num_events;
    log.push_back(std::move(event));
  }
  ++job.revision;
  Remember(tables_.jobs, job.key);
  tables_.jobs[job.key] = job;
  changed_.insert(job.key);
  return OkStatus();
}

Status MemoryTransaction::DeleteJob(const JobKey& key) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  const auto found = tables_.jobs.find(key);
  if (found == tables_.jobs.end()) return OkStatus();
  const std::pair request{key.tenant, found->second.request_id};
  Remember(tables_.requests, request);
  tables_.requests.erase(request);
  Remember(tables_.events, key);
  tables_.events.erase(key);
  Remember(tables_.jobs, key);
  tables_.jobs.erase(key);
  changed_.insert(key);
  return OkStatus();
}

StatusOr<std::vector<JobEvent>> MemoryTransaction::ListEvents(const JobKey& key, int64_t after,
                                                              size_t limit) {
  std::vector<JobEvent> events;
  const auto found = tables_.events.find(key);
  if (found == tables_.events.end()) return events;
  for (const JobEvent& event : found->second) {
    if (event.number > after && events.size() < limit) events.push_back(event);
  }
  return events;
}

StatusOr<Adapter> MemoryTransaction::GetAdapter(const std::string& tenant, const std::string& id) {
  const auto found = tables_.adapters.find({tenant, id});
  if (found == tables_.adapters.end()) return NotFoundError("there is no adapter " + id);
  return found->second;
}

StatusOr<std::vector<Adapter>> MemoryTransaction::ListAdapters(const std::string& tenant,
                                                               const std::string& base,
                                                               const std::string& after_id,
                                                               size_t limit) {
  std::vector<Adapter> adapters;
  for (const auto& [key, adapter] : tables_.adapters) {
    if (key.first == tenant && key.second > after_id && (base.empty() || adapter.base == base) &&
        adapters.size() < limit) {
      adapters.push_back(adapter);
    }
  }
  return adapters;
}

Status MemoryTransaction::PutAdapter(Adapter& adapter) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  const MemoryTables::AdapterKey key{adapter.tenant, adapter.id};
  const auto found = tables_.adapters.find(key);
  if (adapter.revision == 0 && found != tables_.adapters.end()) {
    return AlreadyExistsError("there is an adapter " + adapter.id);
  }
  if (adapter.revision != 0 &&
      (found == tables_.adapters.end() || found->second.revision != adapter.revision)) {
    return AbortedError("adapter " + adapter.id +
                        " was changed meanwhile; read it again, then retry");
  }
  ++adapter.revision;
  Remember(tables_.adapters, key);
  tables_.adapters[key] = adapter;
  return OkStatus();
}

Status MemoryTransaction::DeleteAdapter(const std::string& tenant, const std::string& id) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  GRAFT_ASSIGN_OR_RETURN(const auto versions, ListVersions(tenant, id, 0, SIZE_MAX));
  for (const Version& version : versions) {
    GRAFT_RETURN_IF_ERROR(DeleteVersion(tenant, id, version.number));
  }
  Remember(tables_.adapters, {tenant, id});
  tables_.adapters.erase({tenant, id});
  return OkStatus();
}

StatusOr<Version> MemoryTransaction::GetVersion(const std::string& tenant,
                                                const std::string& adapter, int64_t number) {
  const auto found = tables_.versions.find({tenant, adapter, number});
  if (found != tables_.versions.end()) return found->second;
  return NotFoundError("adapter " + adapter + " has no version " + std::to_string(number));
}

StatusOr<Version> MemoryTransaction::FindVersionByHash(const std::string& tenant,
                                                       const std::string& adapter,
                                                       const std::string& sha256) {
  GRAFT_ASSIGN_OR_RETURN(const auto versions, ListVersions(tenant, adapter, 0, SIZE_MAX));
  for (const Version& version : versions) {
    if (version.sha256 == sha256) return version;
  }
  return NotFoundError("adapter " + adapter + " has no version with the hash " +
                       sha256.substr(0, 12) + "...");
}

StatusOr<std::optional<Version>> MemoryTransaction::FindVersionByRequest(
    const std::string& tenant, const std::string& request_id) {
  for (const auto& [key, version] : tables_.versions) {
    if (std::get<0>(key) == tenant && !request_id.empty() && version.request_id == request_id) {
      return std::optional<Version>(version);
    }
  }
  return std::optional<Version>();
}

StatusOr<std::vector<Version>> MemoryTransaction::ListVersions(const std::string& tenant,
                                                               const std::string& adapter,
                                                               int64_t before_number,
                                                               size_t limit) {
  std::vector<Version> versions;
  auto entry = tables_.versions.lower_bound(
      {tenant, adapter, before_number == 0 ? INT64_MAX : before_number});
  while (entry != tables_.versions.begin() && versions.size() < limit) {
    --entry;
    if (std::get<0>(entry->first) != tenant || std::get<1>(entry->first) != adapter) break;
    versions.push_back(entry->second);
  }
  return versions;
}

Status MemoryTransaction::PutVersion(const Version& version) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  GRAFT_RETURN_IF_ERROR(GetAdapter(version.tenant, version.adapter).status());
  const MemoryTables::VersionKey key{version.tenant, version.adapter, version.number};
  GRAFT_ASSIGN_OR_RETURN(const auto first,
                         FindVersionByRequest(version.tenant, version.request_id));
  if (tables_.versions.contains(key) || first) {
    return AlreadyExistsError("adapter " + version.adapter + " has a version " +
                              std::to_string(version.number) + ", or its request_id was used");
  }
  Remember(tables_.versions, key);
  tables_.versions[key] = version;
  return OkStatus();
}

Status MemoryTransaction::DeleteVersion(const std::string& tenant, const std::string& adapter,
                                        int64_t number) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  const MemoryTables::VersionKey key{tenant, adapter, number};
  Remember(tables_.versions, key);
  tables_.versions.erase(key);
  return OkStatus();
}

}  // namespace graft::server::stores
