#include "server/rpc/collector.h"

#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/base/ids.h"
#include "common/objects/keys.h"

namespace graft::server::rpc {
namespace {

using core::Transaction;

constexpr size_t kPage = 1000;
constexpr size_t kMaxObjects = 10'000'000;
/// An import that has come so far in this time has been given up, and nobody waits any more to use
/// a data set.
constexpr TimeUs kGrace = TimeUs{24} * 3600 * 1'000'000;

/// What of a tenant's rows decides.
struct Rows {
  std::map<std::string, std::optional<core::Job>> jobs;  ///< nullopt: no such row.
  std::set<std::string> artifacts;                       ///< Prefixes of versions.
};

Status ReadVersions(Transaction& tx, const std::string& tenant, Rows& rows) {
  for (std::string after;;) {
    GRAFT_ASSIGN_OR_RETURN(const auto adapters, tx.ListAdapters(tenant, "", after, kPage));
    for (const core::Adapter& adapter : adapters) {
      for (int64_t before = 0;;) {
        GRAFT_ASSIGN_OR_RETURN(const auto versions,
                               tx.ListVersions(tenant, adapter.id, before, kPage));
        for (const core::Version& version : versions)
          rows.artifacts.insert(version.artifact_prefix);
        if (versions.size() < kPage) break;
        before = versions.back().number;
      }
    }
    if (adapters.size() < kPage) return OkStatus();
    after = adapters.back().id;
  }
}

/// What the jobs that haven't ended read: they may have to begin anew.
struct Inputs {
  std::set<std::string> init_from;  ///< Prefixes of versions.
  std::set<std::string> datasets;   ///< Keys.
};

StatusOr<Inputs> ReadInputs(Transaction& tx, const std::string& tenant) {
  Inputs inputs;
  core::JobQuery query;
  query.tenant = tenant;
  query.states = {core::JobState::kValidating, core::JobState::kQueued, core::JobState::kRunning,
                  core::JobState::kPaused};
  query.limit = kPage;
  while (true) {
    GRAFT_ASSIGN_OR_RETURN(const auto jobs, tx.ListJobs(query));
    for (const core::Job& job : jobs) {
      if (!job.init_from_prefix.empty()) inputs.init_from.insert(job.init_from_prefix);
      if (!job.dataset_sha256.empty())
        inputs.datasets.insert(objects::DatasetKey(tenant, job.dataset_sha256));
    }
    if (jobs.size() < kPage) return inputs;
    query.after_id = jobs.back().key.id;
  }
}

bool IsNeeded(const std::string& key, const AttemptObject& object, const Rows& rows,
              const std::string& tenant) {
  if (object.is_artifact &&
      rows.artifacts.contains(objects::ArtifactPrefix(tenant, object.job, object.token))) {
    return true;
  }
  const std::optional<core::Job>& job = rows.jobs.at(object.job);
  if (!job || core::IsTerminal(job->state)) return false;
  if (job->checkpoint.key == key) return true;
  // An older token can write no more, and of the newest checkpoints only what comes next matters.
  if (object.token != job->lease.token) return object.token > job->lease.token;
  const bool replaced =
      object.checkpoint_step >= 0 && object.checkpoint_step < job->checkpoint.step &&
      job->checkpoint.key.starts_with(objects::AttemptPrefix(tenant, object.job, object.token));
  return !replaced;
}

/// The time in an id's front: its first ten characters are milliseconds in Crockford's base 32.
TimeUs TimeOfId(std::string_view id) {
  constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
  TimeUs ms = 0;
  for (const char c : id.substr(0, 10)) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return 0;
    ms = ms * 32 + static_cast<TimeUs>(digit);
  }
  return ms * 1000;
}

/// An import's prefix has no attempt; its id tells how old it is.
bool IsStaleImport(const std::string& key, const std::string& imports, const Rows& rows,
                   TimeUs now) {
  const std::string id = key.substr(imports.size(), key.find('/', imports.size()) - imports.size());
  return !rows.artifacts.contains(imports + id + "/artifact/") && now - TimeOfId(id) > kGrace;
}

using Keys = std::vector<std::string>;

/// All that attempts and imports left, and the data sets that are old enough.
StatusOr<Keys> ListCandidates(objects::ObjectStore& store, const std::string& tenant, TimeUs now) {
  Keys keys;
  for (const char* folder : {"attempts/", "imports/"}) {
    GRAFT_ASSIGN_OR_RETURN(
        const Keys some,
        objects::ListAll(store, objects::TenantPrefix(tenant) + folder, kMaxObjects));
    keys.insert(keys.end(), some.begin(), some.end());
  }
  GRAFT_ASSIGN_OR_RETURN(const Keys datasets,
                         objects::ListAll(store, objects::DatasetsPrefix(tenant), kMaxObjects));
  for (const std::string& key : datasets) {
    const auto info = store.Stat(key);
    if (info.ok() && now - info->written > kGrace) keys.push_back(key);
  }
  return keys;
}

}  // namespace

StatusOr<AttemptObject> ParseAttemptKey(const std::string& tenant, const std::string& key) {
  const std::string prefix = objects::TenantPrefix(tenant) + "attempts/";
  const auto no = [&] { return NotFoundError(key + " is no attempt's object"); };
  if (!key.starts_with(prefix)) return no();
  const size_t job_end = key.find('/', prefix.size());
  if (job_end == std::string::npos) return no();
  const size_t token_end = key.find('/', job_end + 1);
  if (token_end == std::string::npos) return no();
  AttemptObject object;
  object.job = key.substr(prefix.size(), job_end - prefix.size());
  const char* begin = key.data() + job_end + 1;
  const auto [end, error] = std::from_chars(begin, key.data() + token_end, object.token);
  if (error != std::errc() || end != key.data() + token_end || object.job.empty()) return no();
  object.is_artifact = key.compare(token_end, 10, "/artifact/") == 0;
  constexpr std::string_view kCheckpoints = "/checkpoints/";
  if (key.compare(token_end, kCheckpoints.size(), kCheckpoints) == 0) {
    const char* step = key.data() + token_end + kCheckpoints.size();
    (void)std::from_chars(step, key.data() + key.size(), object.checkpoint_step);
  }
  return object;
}

Awaitable<StatusOr<int64_t>> CollectOrphans(Backend& backend, std::string tenant, TimeUs now) {
  const std::string imports = objects::TenantPrefix(tenant) + "imports/";
  const std::string datasets = objects::DatasetsPrefix(tenant);
  // Objects first, rows second: a row that is written in between can only save an object.
  auto list = [&store = backend.objects, tenant, now] {
    return ListCandidates(store, tenant, now);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Keys keys, co_await OnDisk(backend.runtime, std::move(list)));
  if (keys.empty()) co_return int64_t{0};

  Rows wanted;
  for (const std::string& key : keys) {
    if (const auto object = ParseAttemptKey(tenant, key); object.ok())
      wanted.jobs[object->job] = std::nullopt;
  }
  auto read = [wanted, tenant](Transaction& tx) -> StatusOr<Rows> {
    Rows rows = wanted;
    for (auto& [id, row] : rows.jobs) {
      auto job = tx.GetJob({tenant, id});
      if (job.ok()) {
        row = std::move(*job);
      } else if (job.status().code() != StatusCode::kNotFound) {
        return job.status();
      }
    }
    GRAFT_RETURN_IF_ERROR(ReadVersions(tx, tenant, rows));
    return rows;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Rows rows,
                            co_await Read(backend.runtime, backend.store, std::move(read)));

  auto orphans = std::make_shared<Keys>();
  for (const std::string& key : keys) {
    const auto object = ParseAttemptKey(tenant, key);
    const bool orphan = object.ok()                ? !IsNeeded(key, *object, rows, tenant)
                        : key.starts_with(imports) ? IsStaleImport(key, imports, rows, now)
                                                   : key.starts_with(datasets);
    if (orphan) orphans->push_back(key);
  }
  if (orphans->empty()) co_return int64_t{0};
  // Only now, for it reads every job that waits.
  auto read_inputs = [tenant](Transaction& tx) { return ReadInputs(tx, tenant); };
  GRAFT_CO_ASSIGN_OR_RETURN(const Inputs inputs,
                            co_await Read(backend.runtime, backend.store, std::move(read_inputs)));
  std::erase_if(*orphans, [&](const std::string& key) {
    return inputs.datasets.contains(key) ||
           inputs.init_from.contains(key.substr(0, key.rfind('/') + 1));
  });
  auto remove = [&store = backend.objects, orphans]() -> StatusOr<int64_t> {
    for (const std::string& key : *orphans) GRAFT_RETURN_IF_ERROR(store.Delete(key));
    return static_cast<int64_t>(orphans->size());
  };
  co_return co_await OnDisk(backend.runtime, std::move(remove));
}

}  // namespace graft::server::rpc
