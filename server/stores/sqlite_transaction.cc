#include "server/stores/sqlite_transaction.h"

#include <algorithm>

#include "server/stores/row_json.h"

namespace graft::server::stores {
namespace {

using core::Adapter;
using core::Job;
using core::JobEvent;
using core::JobKey;
using core::JobQuery;
using core::Version;

/// The WHERE clause of a query; Bind puts its values in, in the same order.
std::string Where(const JobQuery& query) {
  std::string where = " WHERE 1";
  if (!query.states.empty()) {
    where += " AND state IN (?";
    for (size_t i = 1; i < query.states.size(); ++i) where += ",?";
    where += ")";
  }
  if (!query.base.empty()) where += " AND base = ?";
  if (!query.tenant.empty()) where += " AND tenant = ?";
  if (!query.adapter.empty()) where += " AND adapter = ?";
  for (size_t i = 0; i < query.labels.size(); ++i) {
    where += " AND EXISTS (SELECT 1 FROM labels WHERE labels.tenant = jobs.tenant AND labels.id = jobs.id AND key = ? AND value = ?)";
  }
  if (query.lease_expires_before) where += " AND lease_expiry <> 0 AND lease_expiry < ?";
  if (!query.after_id.empty()) where += " AND id < ?";
  return where;
}

void Bind(Statement& statement, const JobQuery& query) {
  for (const core::JobState state : query.states) statement.Bind(static_cast<int64_t>(state));
  if (!query.base.empty()) statement.Bind(query.base);
  if (!query.tenant.empty()) statement.Bind(query.tenant);
  if (!query.adapter.empty()) statement.Bind(query.adapter);
  for (const auto& [key, value] : query.labels) statement.Bind(key).Bind(value);
  if (query.lease_expires_before) statement.Bind(*query.lease_expires_before);
  if (!query.after_id.empty()) statement.Bind(query.after_id);
}

/// Reads column 0 of every row with `parse`.
template <typename Row>
StatusOr<std::vector<Row>> ReadAll(Statement& statement, StatusOr<Row> (*parse)(const std::string&)) {
  std::vector<Row> rows;
  for (;;) {
    GRAFT_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) break;
    GRAFT_ASSIGN_OR_RETURN(Row row, parse(statement.Text(0)));
    rows.push_back(std::move(row));
  }
  statement.Reset();
  return rows;
}

/// The one row there is, or `missing`.
template <typename Row>
StatusOr<Row> ReadOne(Statement& statement, StatusOr<Row> (*parse)(const std::string&), Status missing) {
  GRAFT_ASSIGN_OR_RETURN(std::vector<Row> rows, ReadAll<Row>(statement, parse));
  if (rows.empty()) return missing;
  return std::move(rows.front());
}

int64_t Limit(size_t limit) { return static_cast<int64_t>(std::min<size_t>(limit, INT32_MAX)); }

}  // namespace

StatusOr<Statement*> StatementCache::Get(const std::string& sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) {
    found->second.Reset();
    return &found->second;
  }
  GRAFT_ASSIGN_OR_RETURN(Statement statement, Statement::Prepare(db_, sql));
  return &statements_.emplace(sql, std::move(statement)).first->second;
}

StatusOr<Job> SqliteTransaction::GetJob(const JobKey& key) {
  GRAFT_ASSIGN_OR_RETURN(Statement * get, statements_.Get("SELECT doc FROM jobs WHERE tenant = ? AND id = ?"));
  get->Bind(key.tenant).Bind(key.id);
  return ReadOne<Job>(*get, &JobFromJson, NotFoundError("there is no job " + key.id));
}

StatusOr<std::optional<Job>> SqliteTransaction::FindJobByRequest(const std::string& tenant, const std::string& request_id) {
  GRAFT_ASSIGN_OR_RETURN(Statement * get,
                         statements_.Get("SELECT doc FROM jobs WHERE tenant = ? AND request_id = ? AND request_id <> ''"));
  get->Bind(tenant).Bind(request_id);
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> jobs, ReadAll<Job>(*get, &JobFromJson));
  if (jobs.empty()) return std::optional<Job>();
  return std::optional<Job>(std::move(jobs.front()));
}

StatusOr<std::vector<Job>> SqliteTransaction::ListJobs(const JobQuery& query) {
  const bool newest = query.order == JobQuery::Order::kNewestFirst;
  const std::string order = newest ? " ORDER BY id DESC" : " ORDER BY priority DESC, create_time, id";
  GRAFT_ASSIGN_OR_RETURN(Statement * list, statements_.Get("SELECT doc FROM jobs" + Where(query) + order + " LIMIT ?"));
  Bind(*list, query);
  list->Bind(Limit(query.limit));
  return ReadAll<Job>(*list, &JobFromJson);
}

StatusOr<int64_t> SqliteTransaction::CountJobs(const JobQuery& query) {
  GRAFT_ASSIGN_OR_RETURN(Statement * count, statements_.Get("SELECT COUNT(*) FROM jobs" + Where(query)));
  Bind(*count, query);
  GRAFT_RETURN_IF_ERROR(count->Step().status());
  const int64_t value = count->Integer(0);
  count->Reset();
  return value;
}

Status SqliteTransaction::PutJob(Job& job, std::vector<JobEvent> events) {
  const bool is_new = job.revision == 0;
  for (JobEvent& event : events) {
    event.number = ++job.num_events;
    GRAFT_ASSIGN_OR_RETURN(Statement * put, statements_.Get("INSERT INTO events (tenant, id, number, doc) VALUES (?, ?, ?, ?)"));
    GRAFT_RETURN_IF_ERROR(put->Bind(job.key.tenant).Bind(job.key.id).Bind(event.number).Bind(ToJson(event)).Run());
  }
  ++job.revision;
  GRAFT_ASSIGN_OR_RETURN(
      Statement * put,
      statements_.Get("INSERT INTO jobs (tenant, id, state, priority, create_time, adapter, base, request_id, lease_expiry, doc)"
                      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state,"
                      " priority = excluded.priority, lease_expiry = excluded.lease_expiry, doc = excluded.doc"));
  put->Bind(job.key.tenant).Bind(job.key.id).Bind(static_cast<int64_t>(job.state)).Bind(int64_t{job.priority});
  put->Bind(job.create_time).Bind(job.adapter).Bind(job.base).Bind(job.request_id).Bind(job.lease.expiry).Bind(ToJson(job));
  GRAFT_RETURN_IF_ERROR(put->Run());
  if (is_new) {
    for (const auto& [key, value] : job.labels) {
      GRAFT_ASSIGN_OR_RETURN(Statement * label, statements_.Get("INSERT INTO labels (tenant, id, key, value) VALUES (?, ?, ?, ?)"));
      GRAFT_RETURN_IF_ERROR(label->Bind(job.key.tenant).Bind(job.key.id).Bind(key).Bind(value).Run());
    }
  }
  changed_.insert(job.key);
  return OkStatus();
}

Status SqliteTransaction::DeleteJob(const JobKey& key) {
  for (const char* table : {"jobs", "events", "labels"}) {
    GRAFT_ASSIGN_OR_RETURN(Statement * remove,
                           statements_.Get(std::string("DELETE FROM ") + table + " WHERE tenant = ? AND id = ?"));
    GRAFT_RETURN_IF_ERROR(remove->Bind(key.tenant).Bind(key.id).Run());
  }
  changed_.insert(key);
  return OkStatus();
}

StatusOr<std::vector<JobEvent>> SqliteTransaction::ListEvents(const JobKey& key, int64_t after, size_t limit) {
  GRAFT_ASSIGN_OR_RETURN(
      Statement * list,
      statements_.Get("SELECT doc FROM events WHERE tenant = ? AND id = ? AND number > ? ORDER BY number LIMIT ?"));
  list->Bind(key.tenant).Bind(key.id).Bind(after).Bind(Limit(limit));
  return ReadAll<JobEvent>(*list, &EventFromJson);
}

StatusOr<Adapter> SqliteTransaction::GetAdapter(const std::string& tenant, const std::string& id) {
  GRAFT_ASSIGN_OR_RETURN(Statement * get, statements_.Get("SELECT doc FROM adapters WHERE tenant = ? AND id = ?"));
  get->Bind(tenant).Bind(id);
  return ReadOne<Adapter>(*get, &AdapterFromJson, NotFoundError("there is no adapter " + id));
}

StatusOr<std::vector<Adapter>> SqliteTransaction::ListAdapters(const std::string& tenant, const std::string& base,
                                                               const std::string& after_id, size_t limit) {
  GRAFT_ASSIGN_OR_RETURN(Statement * list, statements_.Get("SELECT doc FROM adapters WHERE tenant = ? AND id > ? AND (? = '' OR base = ?)"
                                                           " ORDER BY id LIMIT ?"));
  list->Bind(tenant).Bind(after_id).Bind(base).Bind(base).Bind(Limit(limit));
  return ReadAll<Adapter>(*list, &AdapterFromJson);
}

Status SqliteTransaction::PutAdapter(Adapter& adapter) {
  ++adapter.revision;
  GRAFT_ASSIGN_OR_RETURN(Statement * put, statements_.Get("INSERT INTO adapters (tenant, id, base, doc) VALUES (?, ?, ?, ?)"
                                                          " ON CONFLICT (tenant, id) DO UPDATE SET doc = excluded.doc"));
  return put->Bind(adapter.tenant).Bind(adapter.id).Bind(adapter.base).Bind(ToJson(adapter)).Run();
}

Status SqliteTransaction::DeleteAdapter(const std::string& tenant, const std::string& id) {
  GRAFT_ASSIGN_OR_RETURN(Statement * adapter, statements_.Get("DELETE FROM adapters WHERE tenant = ? AND id = ?"));
  GRAFT_RETURN_IF_ERROR(adapter->Bind(tenant).Bind(id).Run());
  GRAFT_ASSIGN_OR_RETURN(Statement * versions, statements_.Get("DELETE FROM versions WHERE tenant = ? AND adapter = ?"));
  return versions->Bind(tenant).Bind(id).Run();
}

StatusOr<Version> SqliteTransaction::GetVersion(const std::string& tenant, const std::string& adapter, int64_t number) {
  GRAFT_ASSIGN_OR_RETURN(Statement * get, statements_.Get("SELECT doc FROM versions WHERE tenant = ? AND adapter = ? AND number = ?"));
  get->Bind(tenant).Bind(adapter).Bind(number);
  return ReadOne<Version>(*get, &VersionFromJson,
                          NotFoundError("adapter " + adapter + " has no version " + std::to_string(number)));
}

StatusOr<Version> SqliteTransaction::FindVersionByHash(const std::string& tenant, const std::string& adapter,
                                                       const std::string& sha256) {
  GRAFT_ASSIGN_OR_RETURN(Statement * get, statements_.Get("SELECT doc FROM versions WHERE tenant = ? AND adapter = ? AND sha256 = ?"
                                                          " ORDER BY number DESC LIMIT 1"));
  get->Bind(tenant).Bind(adapter).Bind(sha256);
  return ReadOne<Version>(*get, &VersionFromJson,
                          NotFoundError("adapter " + adapter + " has no version with the hash " + sha256.substr(0, 12)));
}

StatusOr<std::vector<Version>> SqliteTransaction::ListVersions(const std::string& tenant, const std::string& adapter,
                                                               int64_t before_number, size_t limit) {
  GRAFT_ASSIGN_OR_RETURN(Statement * list, statements_.Get("SELECT doc FROM versions WHERE tenant = ? AND adapter = ? AND number < ?"
                                                           " ORDER BY number DESC LIMIT ?"));
  list->Bind(tenant).Bind(adapter).Bind(before_number == 0 ? INT64_MAX : before_number).Bind(Limit(limit));
  return ReadAll<Version>(*list, &VersionFromJson);
}

Status SqliteTransaction::PutVersion(const Version& version) {
  if (GetVersion(version.tenant, version.adapter, version.number).ok()) {
    return AlreadyExistsError("adapter " + version.adapter + " has a version " + std::to_string(version.number) + " already");
  }
  GRAFT_ASSIGN_OR_RETURN(Statement * put,
                         statements_.Get("INSERT INTO versions (tenant, adapter, number, sha256, doc) VALUES (?, ?, ?, ?, ?)"));
  put->Bind(version.tenant).Bind(version.adapter).Bind(version.number).Bind(version.sha256).Bind(ToJson(version));
  return put->Run();
}

Status SqliteTransaction::DeleteVersion(const std::string& tenant, const std::string& adapter, int64_t number) {
  GRAFT_ASSIGN_OR_RETURN(Statement * remove, statements_.Get("DELETE FROM versions WHERE tenant = ? AND adapter = ? AND number = ?"));
  return remove->Bind(tenant).Bind(adapter).Bind(number).Run();
}

}  // namespace graft::server::stores
