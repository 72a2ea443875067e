#include "server/stores/sqlite_transaction.h"

#include <algorithm>
#include <iterator>

#include "server/stores/job_query.h"
#include "server/stores/row_json.h"

namespace graft::server::stores {
namespace {

using core::Adapter;
using core::Job;
using core::JobEvent;
using core::JobKey;
using core::JobQuery;
using core::Version;

/// Which of the jobs behind a query's after_place.
enum class Behind { kAny, kOfItsPriority, kOfLowerOnes };

bool HasPlace(const JobQuery& query) {
  return query.order == JobQuery::Order::kRunFirst && query.after_place.has_value();
}

/// States are written as numbers: only so do partial indexes serve.
std::string Where(const JobQuery& query, Behind behind = Behind::kAny) {
  std::string where = " WHERE 1";
  if (!query.states.empty()) {
    std::string states;
    for (const core::JobState state : query.states) {
      states += (states.empty() ? "" : ",") + std::to_string(static_cast<int>(state));
    }
    where += query.states.size() == 1 ? " AND state = " + states : " AND state IN (" + states + ")";
  }
  if (!query.tenant.empty()) where += " AND tenant = ?";
  if (!query.base.empty()) where += " AND base = ?";
  if (!query.adapter.empty()) where += " AND adapter = ?";
  if (!query.lease_worker.empty()) where += " AND lease_worker = ? AND lease_worker <> ''";
  if (query.lease_expires_before) where += " AND lease_expiry > 0 AND lease_expiry < ?";
  // No column: only jobs that wait out a fault have it, and the list reads each document anyway.
  if (query.ready_at) where += " AND IFNULL(json_extract(doc, '$.not_before'), 0) <= ?";
  for (size_t i = 0; i < query.labels.size(); ++i) {
    where += " AND row IN (SELECT job FROM labels WHERE key = ? AND value = ?)";
  }
  if (query.order == JobQuery::Order::kNewestFirst && !query.after_id.empty()) {
    where += " AND id < ?";
  }
  if (HasPlace(query)) {
    const std::string lower = "priority < ?";
    const std::string same = "priority = ? AND (create_time, id, tenant) > (?, ?, ?)";
    if (behind == Behind::kOfItsPriority) return where + " AND " + same;
    if (behind == Behind::kOfLowerOnes) return where + " AND " + lower;
    where += " AND (" + lower + " OR (" + same + "))";
  }
  return where;
}

void BindWhere(Statement& statement, const JobQuery& query, Behind behind = Behind::kAny) {
  if (!query.tenant.empty()) statement.Bind(query.tenant);
  if (!query.base.empty()) statement.Bind(query.base);
  if (!query.adapter.empty()) statement.Bind(query.adapter);
  if (!query.lease_worker.empty()) statement.Bind(query.lease_worker);
  if (query.lease_expires_before) statement.Bind(*query.lease_expires_before);
  if (query.ready_at) statement.Bind(*query.ready_at);
  for (const auto& [key, value] : query.labels) statement.Bind(key).Bind(value);
  if (query.order == JobQuery::Order::kNewestFirst && !query.after_id.empty()) {
    statement.Bind(query.after_id);
  }
  if (!HasPlace(query)) return;
  const core::RunPlace& place = *query.after_place;
  if (behind != Behind::kOfItsPriority) statement.Bind(int64_t{place.priority});
  if (behind == Behind::kOfLowerOnes) return;
  statement.Bind(int64_t{place.priority}).Bind(place.create_time);
  statement.Bind(place.key.id).Bind(place.key.tenant);
}

/// The planner knows no row counts and would rather sort ten thousand rows than take one of these.
std::string From(const JobQuery& query) {
  const auto only = [&](core::JobState state) {
    return query.states == std::vector<core::JobState>{state};
  };
  switch (query.order) {
    case JobQuery::Order::kRunFirst:
      if (only(core::JobState::kValidating)) return " FROM jobs INDEXED BY jobs_validate";
      if (only(core::JobState::kQueued) && !query.base.empty()) {
        return " FROM jobs INDEXED BY jobs_run";
      }
      break;
    case JobQuery::Order::kLeaseExpiryFirst:
      if (only(core::JobState::kRunning) && query.lease_worker.empty()) {
        return " FROM jobs INDEXED BY jobs_expiry";
      }
      break;
    case JobQuery::Order::kNewestFirst:
      break;
  }
  return " FROM jobs";
}

std::string OrderBy(JobQuery::Order order) {
  switch (order) {
    case JobQuery::Order::kRunFirst:
      return " ORDER BY priority DESC, create_time, id, tenant";
    case JobQuery::Order::kLeaseExpiryFirst:
      return " ORDER BY lease_expiry, id, tenant";
    case JobQuery::Order::kNewestFirst:
      break;
  }
  return " ORDER BY id DESC, tenant DESC";
}

/// Reads column 0 of every row with `parse`.
template <typename Row>
StatusOr<std::vector<Row>> ReadAll(Statement& statement, StatusOr<Row> (*parse)(std::string_view)) {
  std::vector<Row> rows;
  while (true) {
    GRAFT_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return rows;
    GRAFT_ASSIGN_OR_RETURN(Row row, parse(statement.Text(0)));
    rows.push_back(std::move(row));
  }
}

template <typename Row>
StatusOr<std::optional<Row>> ReadOptional(Statement& statement,
                                          StatusOr<Row> (*parse)(std::string_view)) {
  GRAFT_ASSIGN_OR_RETURN(std::vector<Row> rows, ReadAll<Row>(statement, parse));
  if (rows.empty()) return std::optional<Row>();
  return std::optional<Row>(std::move(rows.front()));
}

/// The one row there is, or `missing`.
template <typename Row>
StatusOr<Row> ReadOne(Statement& statement, StatusOr<Row> (*parse)(std::string_view),
                      const std::string& missing) {
  GRAFT_ASSIGN_OR_RETURN(std::optional<Row> row, ReadOptional<Row>(statement, parse));
  if (!row) return NotFoundError(missing);
  return *std::move(row);
}

int64_t Limit(size_t limit) { return static_cast<int64_t>(std::min<size_t>(limit, INT32_MAX)); }

/// Of one state, or of any; the first `limit`.
StatusOr<std::vector<Job>> ListSome(Sqlite& db, const JobQuery& query, Behind behind,
                                    size_t limit) {
  GRAFT_ASSIGN_OR_RETURN(Statement list,
                         db.Prepare("SELECT doc" + From(query) + Where(query, behind) +
                                    OrderBy(query.order) + " LIMIT ?"));
  BindWhere(list, query, behind);
  list.Bind(Limit(limit));
  return ReadAll<Job>(list, &JobFromJson);
}

Status ChangedMeanwhile(const std::string& what, const std::string& id) {
  return AbortedError(what + " " + id + " was changed meanwhile; read it again, then retry");
}

}  // namespace

Status SqliteTransaction::CheckWritable() const {
  if (mode_ == Mode::kReadWrite) return OkStatus();
  return InternalError("a read-only transaction can't write");
}

StatusOr<Job> SqliteTransaction::GetJob(const JobKey& key) {
  GRAFT_ASSIGN_OR_RETURN(Statement get,
                         db_.Prepare("SELECT doc FROM jobs WHERE tenant = ? AND id = ?"));
  get.Bind(key.tenant).Bind(key.id);
  return ReadOne<Job>(get, &JobFromJson, "there is no job " + key.id);
}

StatusOr<std::optional<Job>> SqliteTransaction::FindJobByRequest(const std::string& tenant,
                                                                 const std::string& request_id) {
  GRAFT_ASSIGN_OR_RETURN(
      Statement get,
      db_.Prepare("SELECT doc FROM jobs WHERE tenant = ? AND request_id = ? AND request_id <> ''"));
  get.Bind(tenant).Bind(request_id);
  return ReadOptional<Job>(get, &JobFromJson);
}

StatusOr<std::vector<Job>> SqliteTransaction::ListJobs(const JobQuery& query) {
  // No index is ordered across several states: one query a state, merged, reads only what is
  // returned.
  if (query.states.size() > 1) {
    std::vector<Job> all;
    JobQuery one = query;
    for (const core::JobState state : std::set(query.states.begin(), query.states.end())) {
      one.states = {state};
      GRAFT_ASSIGN_OR_RETURN(std::vector<Job> some, ListJobs(one));
      std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    std::sort(all.begin(), all.end(),
              [&](const Job& a, const Job& b) { return ComesBefore(query.order, a, b); });
    if (all.size() > query.limit) all.resize(query.limit);
    return all;
  }
  if (!HasPlace(query)) return ListSome(db_, query, Behind::kAny, query.limit);
  // Those behind a place are no range of an index, for priorities fall and the rest rises: two are.
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> jobs,
                         ListSome(db_, query, Behind::kOfItsPriority, query.limit));
  if (jobs.size() >= query.limit) return jobs;
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> lower,
                         ListSome(db_, query, Behind::kOfLowerOnes, query.limit - jobs.size()));
  std::move(lower.begin(), lower.end(), std::back_inserter(jobs));
  return jobs;
}

StatusOr<int64_t> SqliteTransaction::CountJobs(const JobQuery& query) {
  GRAFT_ASSIGN_OR_RETURN(Statement count, db_.Prepare("SELECT COUNT(*) FROM jobs" + Where(query)));
  BindWhere(count, query);
  GRAFT_RETURN_IF_ERROR(count.Step().status());
  return count.Integer(0);
}

StatusOr<std::vector<std::string>> SqliteTransaction::QueuedBases() {
  // The index jobs_run holds just these; no row is read.
  static_assert(static_cast<int>(core::JobState::kQueued) == 2);
  GRAFT_ASSIGN_OR_RETURN(
      Statement next, db_.Prepare("SELECT DISTINCT base FROM jobs WHERE state = 2 ORDER BY base"));
  std::vector<std::string> names;
  while (true) {
    GRAFT_ASSIGN_OR_RETURN(const bool row, next.Step());
    if (!row) return names;
    names.emplace_back(next.Text(0));
  }
}

StatusOr<int64_t> SqliteTransaction::InsertJob(const Job& job) {
  int64_t row = 0;
  {
    GRAFT_ASSIGN_OR_RETURN(
        Statement put,
        db_.Prepare("INSERT INTO jobs (tenant, id, base, adapter, create_time, request_id,"
                    " revision, state, priority, lease_worker, lease_expiry, doc)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING row"));
    put.Bind(job.key.tenant).Bind(job.key.id).Bind(job.base).Bind(job.adapter);
    put.Bind(job.create_time).Bind(job.request_id).Bind(job.revision);
    put.Bind(static_cast<int64_t>(job.state)).Bind(int64_t{job.priority});
    put.Bind(job.lease.worker).Bind(job.lease.expiry).Bind(ToJson(job));
    GRAFT_RETURN_IF_ERROR(put.Step().status());
    row = put.Integer(0);
    GRAFT_RETURN_IF_ERROR(put.Run().status());
  }
  for (const auto& [key, value] : job.labels) {
    GRAFT_ASSIGN_OR_RETURN(Statement label,
                           db_.Prepare("INSERT INTO labels (key, value, job) VALUES (?, ?, ?)"));
    GRAFT_RETURN_IF_ERROR(label.Bind(key).Bind(value).Bind(row).Run().status());
  }
  return row;
}

StatusOr<int64_t> SqliteTransaction::UpdateJob(const Job& job) {
  GRAFT_ASSIGN_OR_RETURN(
      Statement put, db_.Prepare("UPDATE jobs SET revision = ?, state = ?, priority = ?,"
                                 " lease_worker = ?, lease_expiry = ?, doc = ?"
                                 " WHERE tenant = ? AND id = ? AND revision = ? RETURNING row"));
  put.Bind(job.revision).Bind(static_cast<int64_t>(job.state)).Bind(int64_t{job.priority});
  put.Bind(job.lease.worker).Bind(job.lease.expiry).Bind(ToJson(job));
  put.Bind(job.key.tenant).Bind(job.key.id).Bind(job.revision - 1);
  GRAFT_ASSIGN_OR_RETURN(const bool found, put.Step());
  if (!found) return ChangedMeanwhile("job", job.key.id);
  const int64_t row = put.Integer(0);
  GRAFT_RETURN_IF_ERROR(put.Run().status());
  return row;
}

Status SqliteTransaction::PutJob(Job& job, std::vector<JobEvent> events) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  const bool is_new = job.revision == 0;
  for (JobEvent& event : events) event.number = ++job.num_events;
  ++job.revision;
  GRAFT_ASSIGN_OR_RETURN(const int64_t row, is_new ? InsertJob(job) : UpdateJob(job));
  for (const JobEvent& event : events) {
    GRAFT_ASSIGN_OR_RETURN(Statement put,
                           db_.Prepare("INSERT INTO events (job, number, doc) VALUES (?, ?, ?)"));
    GRAFT_RETURN_IF_ERROR(put.Bind(row).Bind(event.number).Bind(ToJson(event)).Run().status());
  }
  changed_.insert(job.key);
  return OkStatus();
}

Status SqliteTransaction::DeleteJob(const JobKey& key) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  GRAFT_ASSIGN_OR_RETURN(Statement remove,
                         db_.Prepare("DELETE FROM jobs WHERE tenant = ? AND id = ?"));
  GRAFT_RETURN_IF_ERROR(remove.Bind(key.tenant).Bind(key.id).Run().status());
  changed_.insert(key);
  return OkStatus();
}

StatusOr<std::vector<JobEvent>> SqliteTransaction::ListEvents(const JobKey& key, int64_t after,
                                                              size_t limit) {
  GRAFT_ASSIGN_OR_RETURN(
      Statement list,
      db_.Prepare("SELECT doc FROM events WHERE job = (SELECT row FROM jobs WHERE tenant = ?"
                  " AND id = ?) AND number > ? ORDER BY number LIMIT ?"));
  list.Bind(key.tenant).Bind(key.id).Bind(after).Bind(Limit(limit));
  return ReadAll<JobEvent>(list, &EventFromJson);
}

StatusOr<Adapter> SqliteTransaction::GetAdapter(const std::string& tenant, const std::string& id) {
  GRAFT_ASSIGN_OR_RETURN(Statement get,
                         db_.Prepare("SELECT doc FROM adapters WHERE tenant = ? AND id = ?"));
  get.Bind(tenant).Bind(id);
  return ReadOne<Adapter>(get, &AdapterFromJson, "there is no adapter " + id);
}

StatusOr<std::vector<Adapter>> SqliteTransaction::ListAdapters(const std::string& tenant,
                                                               const std::string& base,
                                                               const std::string& after_id,
                                                               size_t limit) {
  const std::string of_base = base.empty() ? "" : " AND base = ?";
  GRAFT_ASSIGN_OR_RETURN(
      Statement list, db_.Prepare("SELECT doc FROM adapters WHERE tenant = ? AND id > ?" + of_base +
                                  " ORDER BY id LIMIT ?"));
  list.Bind(tenant).Bind(after_id);
  if (!base.empty()) list.Bind(base);
  list.Bind(Limit(limit));
  return ReadAll<Adapter>(list, &AdapterFromJson);
}

Status SqliteTransaction::PutAdapter(Adapter& adapter) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  const bool is_new = adapter.revision == 0;
  ++adapter.revision;
  if (is_new) {
    GRAFT_ASSIGN_OR_RETURN(
        Statement put,
        db_.Prepare("INSERT INTO adapters (tenant, id, revision, base, doc) VALUES (?,?,?,?,?)"));
    put.Bind(adapter.tenant).Bind(adapter.id).Bind(adapter.revision).Bind(adapter.base);
    return put.Bind(ToJson(adapter)).Run().status();
  }
  GRAFT_ASSIGN_OR_RETURN(Statement put,
                         db_.Prepare("UPDATE adapters SET revision = ?, base = ?, doc = ?"
                                     " WHERE tenant = ? AND id = ? AND revision = ?"));
  put.Bind(adapter.revision).Bind(adapter.base).Bind(ToJson(adapter));
  put.Bind(adapter.tenant).Bind(adapter.id).Bind(adapter.revision - 1);
  GRAFT_ASSIGN_OR_RETURN(const int64_t changed, put.Run());
  return changed == 1 ? OkStatus() : ChangedMeanwhile("adapter", adapter.id);
}

Status SqliteTransaction::DeleteAdapter(const std::string& tenant, const std::string& id) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  GRAFT_ASSIGN_OR_RETURN(Statement remove,
                         db_.Prepare("DELETE FROM adapters WHERE tenant = ? AND id = ?"));
  return remove.Bind(tenant).Bind(id).Run().status();
}

StatusOr<Version> SqliteTransaction::GetVersion(const std::string& tenant,
                                                const std::string& adapter, int64_t number) {
  GRAFT_ASSIGN_OR_RETURN(
      Statement get,
      db_.Prepare("SELECT doc FROM versions WHERE tenant = ? AND adapter = ? AND number = ?"));
  get.Bind(tenant).Bind(adapter).Bind(number);
  return ReadOne<Version>(get, &VersionFromJson,
                          "adapter " + adapter + " has no version " + std::to_string(number));
}

StatusOr<Version> SqliteTransaction::FindVersionByHash(const std::string& tenant,
                                                       const std::string& adapter,
                                                       const std::string& sha256) {
  GRAFT_ASSIGN_OR_RETURN(Statement get,
                         db_.Prepare("SELECT doc FROM versions WHERE tenant = ? AND adapter = ?"
                                     " AND sha256 = ? ORDER BY number DESC LIMIT 1"));
  get.Bind(tenant).Bind(adapter).Bind(sha256);
  return ReadOne<Version>(
      get, &VersionFromJson,
      "adapter " + adapter + " has no version with the hash " + sha256.substr(0, 12) + "...");
}

StatusOr<std::optional<Version>> SqliteTransaction::FindVersionByRequest(
    const std::string& tenant, const std::string& request_id) {
  GRAFT_ASSIGN_OR_RETURN(
      Statement get,
      db_.Prepare(
          "SELECT doc FROM versions WHERE tenant = ? AND request_id = ? AND request_id <> ''"));
  get.Bind(tenant).Bind(request_id);
  return ReadOptional<Version>(get, &VersionFromJson);
}

StatusOr<std::vector<Version>> SqliteTransaction::ListVersions(const std::string& tenant,
                                                               const std::string& adapter,
                                                               int64_t before_number,
                                                               size_t limit) {
  GRAFT_ASSIGN_OR_RETURN(Statement list,
                         db_.Prepare("SELECT doc FROM versions WHERE tenant = ? AND adapter = ?"
                                     " AND number < ? ORDER BY number DESC LIMIT ?"));
  list.Bind(tenant).Bind(adapter).Bind(before_number == 0 ? INT64_MAX : before_number);
  list.Bind(Limit(limit));
  return ReadAll<Version>(list, &VersionFromJson);
}

Status SqliteTransaction::PutVersion(const Version& version) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  GRAFT_ASSIGN_OR_RETURN(Statement put,
                         db_.Prepare("INSERT INTO versions (tenant, adapter, number, sha256,"
                                     " request_id, doc) VALUES (?, ?, ?, ?, ?, ?)"));
  put.Bind(version.tenant).Bind(version.adapter).Bind(version.number).Bind(version.sha256);
  return put.Bind(version.request_id).Bind(ToJson(version)).Run().status();
}

Status SqliteTransaction::DeleteVersion(const std::string& tenant, const std::string& adapter,
                                        int64_t number) {
  GRAFT_RETURN_IF_ERROR(CheckWritable());
  GRAFT_ASSIGN_OR_RETURN(
      Statement remove,
      db_.Prepare("DELETE FROM versions WHERE tenant = ? AND adapter = ? AND number = ?"));
  return remove.Bind(tenant).Bind(adapter).Bind(number).Run().status();
}

}  // namespace graft::server::stores
