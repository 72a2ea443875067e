#include "server/background/collector.h"

#include <charconv>
#include <map>
#include <set>
#include <vector>

#include "common/base/ids.h"
#include "common/objects/keys.h"
#include "server/core/kept_checkpoints.h"

namespace graft::server::background {
namespace {

using core::Transaction;

/// Rows that one transaction reads: all reads share a thread, and calls must not wait for long.
constexpr size_t kBatch = 200;
constexpr size_t kMaxObjects = 10'000'000;
/// An import that has come so far in this time has been given up, and nobody waits any more to use
/// a data set.
constexpr TimeUs kGrace = TimeUs{24} * 3600 * 1'000'000;

using Keys = std::vector<std::string>;

/// What of a job's row decides.
struct JobFate {
  bool is_over = true;  ///< It has ended, or there is no such row.
  int64_t token = 0;
  std::string checkpoint;
  int64_t checkpoint_step = 0;
  int64_t kept_through = 0;  ///< Checkpoints up to this step are versions, or not wanted any more.
};

/// What of a tenant's rows decides.
struct Rows {
  std::map<std::string, JobFate> jobs;  ///< By id.
  std::set<std::string> artifacts;      ///< Prefixes of versions.
};

/// What the jobs that haven't ended read: they may have to begin anew.
struct Inputs {
  std::set<std::string> init_from;  ///< Prefixes of versions.
  std::set<std::string> datasets;   ///< Keys.
};

StatusOr<JobFate> FateOf(Transaction& tx, const core::JobKey& key) {
  const StatusOr<core::Job> job = tx.GetJob(key);
  if (job.status().code() == StatusCode::kNotFound) return JobFate();
  if (!job.ok()) return job.status();
  return JobFate{core::IsTerminal(job->state), job->lease.token, job->checkpoint.key,
                 job->checkpoint.step, core::KeptThrough(*job)};
}

/// Where the reading of versions goes on.
struct VersionCursor {
  std::string after;    ///< Adapters up to this one are done.
  std::string partial;  ///< Of this adapter only versions below `before` are left.
  int64_t before = 0;
  bool done = false;
};

/// Prefixes of about kBatch versions from `cursor` on, which it moves.
StatusOr<Keys> NextVersions(Transaction& tx, const std::string& tenant, VersionCursor& cursor) {
  Keys prefixes;
  GRAFT_ASSIGN_OR_RETURN(const auto adapters, tx.ListAdapters(tenant, "", cursor.after, kBatch));
  for (const core::Adapter& adapter : adapters) {
    const int64_t before = adapter.id == cursor.partial ? cursor.before : 0;
    GRAFT_ASSIGN_OR_RETURN(const auto versions,
                           tx.ListVersions(tenant, adapter.id, before, kBatch));
    for (const core::Version& version : versions) prefixes.push_back(version.artifact_prefix);
    if (versions.size() == kBatch) {
      cursor.partial = adapter.id;
      cursor.before = versions.back().number;
      return prefixes;
    }
    cursor.after = adapter.id;
    if (prefixes.size() >= kBatch) return prefixes;
  }
  cursor.done = adapters.size() < kBatch;
  return prefixes;
}

/// The fates of the jobs that are named in `rows`, and every version's prefix. Jobs first: one that
/// succeeds while this reads has its version by then.
calls::Awaitable<StatusOr<Rows>> ReadRows(Backend& backend, std::string tenant, Rows rows) {
  for (auto next = rows.jobs.begin(); next != rows.jobs.end();) {
    Keys ids;
    for (auto job = next; job != rows.jobs.end() && ids.size() < kBatch; ++job)
      ids.push_back(job->first);
    using Fates = std::vector<JobFate>;
    auto read = [ids, tenant](Transaction& tx) -> StatusOr<Fates> {
      Fates fates;
      for (const std::string& id : ids) {
        GRAFT_ASSIGN_OR_RETURN(JobFate fate, FateOf(tx, {tenant, id}));
        fates.push_back(std::move(fate));
      }
      return fates;
    };
    GRAFT_CO_ASSIGN_OR_RETURN(const Fates fates,
                              co_await Read(backend.runtime, backend.store, std::move(read)));
    for (const JobFate& fate : fates) (next++)->second = fate;
  }
  struct Batch {
    Keys prefixes;
    VersionCursor cursor;
  };
  VersionCursor cursor;
  while (!cursor.done) {
    auto read = [cursor, tenant](Transaction& tx) -> StatusOr<Batch> {
      Batch batch{{}, cursor};
      GRAFT_ASSIGN_OR_RETURN(batch.prefixes, NextVersions(tx, tenant, batch.cursor));
      return batch;
    };
    GRAFT_CO_ASSIGN_OR_RETURN(const Batch batch,
                              co_await Read(backend.runtime, backend.store, std::move(read)));
    rows.artifacts.insert(batch.prefixes.begin(), batch.prefixes.end());
    cursor = batch.cursor;
  }
  co_return rows;
}

/// Behind ReadRows: a version that was gone then can be nobody's input any more (core::CreateJob).
calls::Awaitable<StatusOr<Inputs>> ReadInputs(Backend& backend, std::string tenant) {
  Inputs inputs;
  core::JobQuery query;
  query.tenant = tenant;
  query.states = {core::JobState::kValidating, core::JobState::kQueued, core::JobState::kRunning,
                  core::JobState::kPaused};
  query.limit = kBatch;
  while (true) {
    auto list = [query](Transaction& tx) { return tx.ListJobs(query); };
    GRAFT_CO_ASSIGN_OR_RETURN(const std::vector<core::Job> jobs,
                              co_await Read(backend.runtime, backend.store, std::move(list)));
    for (const core::Job& job : jobs) {
      if (!job.init_from_prefix.empty()) inputs.init_from.insert(job.init_from_prefix);
      if (!job.dataset_sha256.empty())
        inputs.datasets.insert(objects::DatasetKey(tenant, job.dataset_sha256));
    }
    if (jobs.size() < kBatch) co_return inputs;
    query.after_id = jobs.back().key.id;
  }
}

/// Where a version's files lie together: up to the last slash.
std::string FolderOf(const std::string& key) { return key.substr(0, key.rfind('/') + 1); }

bool IsNeeded(const std::string& key, const AttemptObject& object, const Rows& rows,
              const std::string& tenant) {
  if (object.is_artifact && rows.artifacts.contains(FolderOf(key))) return true;
  const JobFate& job = rows.jobs.at(object.job);
  if (job.is_over) return false;
  if (job.checkpoint == key) return true;
  // An older token can write no more, and of the newest checkpoints only what comes next matters.
  if (object.token != job.token) return object.token > job.token;
  if (object.kept_step >= 0) return object.kept_step > job.kept_through;
  const bool replaced =
      object.checkpoint_step >= 0 && object.checkpoint_step < job.checkpoint_step &&
      job.checkpoint.starts_with(objects::AttemptPrefix(tenant, object.job, object.token));
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

/// An object that may have to go.
struct Candidate {
  std::string key;
  TimeUs written = 0;  ///< Of a data set: when it was put, as listed.
};
using Candidates = std::vector<Candidate>;

/// All that attempts and imports left, and the data sets that are old enough.
StatusOr<Candidates> ListCandidates(objects::ObjectStore& store, const std::string& tenant,
                                    TimeUs now) {
  Candidates candidates;
  for (const char* folder : {"attempts/", "imports/"}) {
    GRAFT_ASSIGN_OR_RETURN(
        const Keys keys,
        objects::ListAll(store, objects::TenantPrefix(tenant) + folder, kMaxObjects));
    for (const std::string& key : keys) candidates.push_back({key, 0});
  }
  GRAFT_ASSIGN_OR_RETURN(const Keys datasets,
                         objects::ListAll(store, objects::DatasetsPrefix(tenant), kMaxObjects));
  for (const std::string& key : datasets) {
    const auto info = store.Stat(key);
    if (info.ok() && now - info->written > kGrace) candidates.push_back({key, info->written});
  }
  return candidates;
}

/// Returns how many it removed.
StatusOr<int64_t> Remove(objects::ObjectStore& store, const Candidates& orphans) {
  int64_t removed = 0;
  for (const Candidate& orphan : orphans) {
    // A job that came to use the data set since has put it again; only one that does so between
    // these two calls would lose it.
    if (orphan.written != 0) {
      const auto info = store.Stat(orphan.key);
      if (info.status().code() == StatusCode::kNotFound) continue;
      GRAFT_RETURN_IF_ERROR(info.status());
      if (info->written != orphan.written) continue;
    }
    GRAFT_RETURN_IF_ERROR(store.Delete(orphan.key));
    ++removed;
  }
  return removed;
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
  const auto read_step = [&](std::string_view folder, int64_t& step) {
    if (key.compare(token_end, folder.size(), folder) != 0) return;
    const char* digits = key.data() + token_end + folder.size();
    (void)std::from_chars(digits, key.data() + key.size(), step);
  };
  read_step("/checkpoints/", object.checkpoint_step);
  read_step("/kept/", object.kept_step);
  object.is_artifact = key.compare(token_end, 10, "/artifact/") == 0 || object.kept_step >= 0;
  return object;
}

calls::Awaitable<StatusOr<int64_t>> CollectOrphans(Backend& backend, std::string tenant,
                                                   TimeUs now) {
  const std::string imports = objects::TenantPrefix(tenant) + "imports/";
  const std::string datasets = objects::DatasetsPrefix(tenant);
  // Objects first, rows second: a row that is written in between can only save an object.
  auto list = [&store = backend.objects, tenant, now] {
    return ListCandidates(store, tenant, now);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Candidates candidates,
                            co_await OnDisk(backend.runtime, std::move(list)));
  if (candidates.empty()) co_return int64_t{0};

  Rows wanted;
  for (const Candidate& candidate : candidates) {
    if (const auto object = ParseAttemptKey(tenant, candidate.key); object.ok())
      wanted.jobs[object->job] = {};
  }
  GRAFT_CO_ASSIGN_OR_RETURN(const Rows rows, co_await ReadRows(backend, tenant, std::move(wanted)));
  auto orphans = std::make_shared<Candidates>();
  for (const Candidate& candidate : candidates) {
    const std::string& key = candidate.key;
    const auto object = ParseAttemptKey(tenant, key);
    const bool orphan = object.ok()                ? !IsNeeded(key, *object, rows, tenant)
                        : key.starts_with(imports) ? IsStaleImport(key, imports, rows, now)
                                                   : key.starts_with(datasets);
    if (orphan) orphans->push_back(candidate);
  }
  if (orphans->empty()) co_return int64_t{0};
  // Only now, for it reads every job that waits.
  GRAFT_CO_ASSIGN_OR_RETURN(const Inputs inputs, co_await ReadInputs(backend, tenant));
  std::erase_if(*orphans, [&](const Candidate& candidate) {
    return inputs.datasets.contains(candidate.key) ||
           inputs.init_from.contains(FolderOf(candidate.key));
  });
  auto remove = [&store = backend.objects, orphans] { return Remove(store, *orphans); };
  co_return co_await OnDisk(backend.runtime, std::move(remove));
}

}  // namespace graft::server::background
