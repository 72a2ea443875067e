#include "server/stores/memory_store.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace graft::server::stores {

using core::Adapter;
using core::Job;
using core::JobEvent;
using core::JobKey;
using core::JobQuery;
using core::Version;

struct MemoryStore::Tables {
  std::map<JobKey, Job> jobs;
  std::map<JobKey, std::vector<JobEvent>> events;
  std::map<std::pair<std::string, std::string>, Adapter> adapters;
  std::map<std::tuple<std::string, std::string, int64_t>, Version> versions;
};

namespace {

bool Matches(const Job& job, const JobQuery& query) {
  const auto has_state = [&] {
    return query.states.empty() || std::find(query.states.begin(), query.states.end(), job.state) != query.states.end();
  };
  const auto has_labels = [&] {
    return std::all_of(query.labels.begin(), query.labels.end(), [&](const auto& label) {
      const auto found = job.labels.find(label.first);
      return found != job.labels.end() && found->second == label.second;
    });
  };
  return (query.tenant.empty() || job.key.tenant == query.tenant) && has_state() &&
         (query.adapter.empty() || job.adapter == query.adapter) && (query.base.empty() || job.base == query.base) &&
         has_labels() &&
         (!query.lease_expires_before || (job.lease.expiry != 0 && job.lease.expiry < *query.lease_expires_before)) &&
         (query.after_id.empty() || job.key.id < query.after_id);
}

class MemoryTransaction : public core::Transaction {
 public:
  MemoryTransaction(MemoryStore::Tables& tables, TimeUs now) : tables_(tables), now_(now) {}
  const std::set<JobKey>& changed() const { return changed_; }

  TimeUs Now() override { return now_; }

  StatusOr<Job> GetJob(const JobKey& key) override {
    const auto found = tables_.jobs.find(key);
    if (found == tables_.jobs.end()) return NotFoundError("there is no job " + key.id);
    return found->second;
  }
  StatusOr<std::optional<Job>> FindJobByRequest(const std::string& tenant, const std::string& request_id) override {
    for (const auto& [key, job] : tables_.jobs) {
      if (key.tenant == tenant && job.request_id == request_id) return std::optional<Job>(job);
    }
    return std::optional<Job>();
  }
  StatusOr<std::vector<Job>> ListJobs(const JobQuery& query) override {
    std::vector<Job> jobs;
    for (const auto& [key, job] : tables_.jobs) {
      if (Matches(job, query)) jobs.push_back(job);
    }
    std::sort(jobs.begin(), jobs.end(), [&](const Job& a, const Job& b) {
      if (query.order == JobQuery::Order::kNewestFirst) return a.key.id > b.key.id;
      return std::tie(b.priority, a.create_time, a.key.id) < std::tie(a.priority, b.create_time, b.key.id);
    });
    if (jobs.size() > query.limit) jobs.resize(query.limit);
    return jobs;
  }
  StatusOr<int64_t> CountJobs(const JobQuery& query) override {
    return std::count_if(tables_.jobs.begin(), tables_.jobs.end(),
                         [&](const auto& entry) { return Matches(entry.second, query); });
  }
  Status PutJob(Job& job, std::vector<JobEvent> events) override {
    for (JobEvent& event : events) {
      event.number = ++job.num_events;
      tables_.events[job.key].push_back(std::move(event));
    }
    ++job.revision;
    tables_.jobs[job.key] = job;
    changed_.insert(job.key);
    return OkStatus();
  }
  Status DeleteJob(const JobKey& key) override {
    tables_.jobs.erase(key);
    tables_.events.erase(key);
    changed_.insert(key);
    return OkStatus();
  }
  StatusOr<std::vector<JobEvent>> ListEvents(const JobKey& key, int64_t after, size_t limit) override {
    std::vector<JobEvent> events;
    for (const JobEvent& event : tables_.events[key]) {
      if (event.number > after && events.size() < limit) events.push_back(event);
    }
    return events;
  }

  StatusOr<Adapter> GetAdapter(const std::string& tenant, const std::string& id) override {
    const auto found = tables_.adapters.find({tenant, id});
    if (found == tables_.adapters.end()) return NotFoundError("there is no adapter " + id);
    return found->second;
  }
  StatusOr<std::vector<Adapter>> ListAdapters(const std::string& tenant, const std::string& base,
                                              const std::string& after_id, size_t limit) override {
    std::vector<Adapter> adapters;
    for (const auto& [key, adapter] : tables_.adapters) {
      if (key.first == tenant && key.second > after_id && (base.empty() || adapter.base == base) && adapters.size() < limit) {
        adapters.push_back(adapter);
      }
    }
    return adapters;
  }
  Status PutAdapter(Adapter& adapter) override {
    ++adapter.revision;
    tables_.adapters[{adapter.tenant, adapter.id}] = adapter;
    return OkStatus();
  }
  Status DeleteAdapter(const std::string& tenant, const std::string& id) override {
    tables_.adapters.erase({tenant, id});
    std::erase_if(tables_.versions, [&](const auto& entry) {
      return std::get<0>(entry.first) == tenant && std::get<1>(entry.first) == id;
    });
    return OkStatus();
  }

  StatusOr<Version> GetVersion(const std::string& tenant, const std::string& adapter, int64_t number) override {
    const auto found = tables_.versions.find({tenant, adapter, number});
    if (found == tables_.versions.end()) {
      return NotFoundError("adapter " + adapter + " has no version " + std::to_string(number));
    }
    return found->second;
  }
  StatusOr<Version> FindVersionByHash(const std::string& tenant, const std::string& adapter,
                                      const std::string& sha256) override {
    GRAFT_ASSIGN_OR_RETURN(const auto versions, ListVersions(tenant, adapter, 0, SIZE_MAX));
    for (const Version& version : versions) {
      if (version.sha256 == sha256) return version;
    }
    return NotFoundError("adapter " + adapter + " has no version with the hash " + sha256.substr(0, 12));
  }
  StatusOr<std::vector<Version>> ListVersions(const std::string& tenant, const std::string& adapter, int64_t before_number,
                                              size_t limit) override {
    std::vector<Version> versions;
    for (auto entry = tables_.versions.rbegin(); entry != tables_.versions.rend() && versions.size() < limit; ++entry) {
      const auto& [owner, name, number] = entry->first;
      if (owner == tenant && name == adapter && (before_number == 0 || number < before_number)) {
        versions.push_back(entry->second);
      }
    }
    return versions;
  }
  Status PutVersion(const Version& version) override {
    if (!tables_.versions.emplace(std::make_tuple(version.tenant, version.adapter, version.number), version).second) {
      return AlreadyExistsError("adapter " + version.adapter + " has a version " + std::to_string(version.number) + " already");
    }
    return OkStatus();
  }
  Status DeleteVersion(const std::string& tenant, const std::string& adapter, int64_t number) override {
    tables_.versions.erase({tenant, adapter, number});
    return OkStatus();
  }

 private:
  MemoryStore::Tables& tables_;
  const TimeUs now_;
  std::set<JobKey> changed_;
};

}  // namespace

MemoryStore::MemoryStore(Clock& clock) : clock_(clock), tables_(std::make_unique<Tables>()) {}
MemoryStore::~MemoryStore() = default;

void MemoryStore::Write(Work work, Done done) {
  Status status;
  std::vector<JobKey> changed;
  std::vector<std::function<void(const std::vector<JobKey>&)>> listeners;
  {
    const std::lock_guard lock(mutex_);
    // A copy is the simplest transaction there is; on an error it is dropped.
    Tables copy = *tables_;
    MemoryTransaction transaction(copy, clock_.Now());
    status = work(transaction);
    if (status.ok()) {
      *tables_ = std::move(copy);
      changed.assign(transaction.changed().begin(), transaction.changed().end());
    }
    listeners = listeners_;
  }
  if (!changed.empty()) {
    for (const auto& listener : listeners) listener(changed);
  }
  done(status);
}

void MemoryStore::Read(Work work, Done done) {
  Status status;
  {
    const std::lock_guard lock(mutex_);
    Tables copy = *tables_;
    MemoryTransaction transaction(copy, clock_.Now());
    status = work(transaction);
  }
  done(status);
}

void MemoryStore::OnJobsChanged(std::function<void(const std::vector<JobKey>&)> listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

}  // namespace graft::server::stores
