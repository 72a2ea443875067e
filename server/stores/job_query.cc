#include "server/stores/job_query.h"

#include <algorithm>
#include <tuple>

namespace graft::server::stores {

using core::Job;
using core::JobQuery;

bool Matches(const Job& job, const JobQuery& query) {
  const auto same = [](const std::string& wanted, const std::string& value) {
    return wanted.empty() || wanted == value;
  };
  const auto& states = query.states;
  if (!states.empty() && std::find(states.begin(), states.end(), job.state) == states.end()) {
    return false;
  }
  const bool has_labels =
      std::all_of(query.labels.begin(), query.labels.end(), [&](const auto& label) {
        const auto found = job.labels.find(label.first);
        return found != job.labels.end() && found->second == label.second;
      });
  const bool expires = !query.lease_expires_before ||
                       (job.lease.expiry > 0 && job.lease.expiry < *query.lease_expires_before);
  const bool ready = !query.ready_at || job.not_before <= *query.ready_at;
  const bool follows = query.order != JobQuery::Order::kNewestFirst || query.after_id.empty() ||
                       job.key.id < query.after_id;
  const bool is_behind = query.order != JobQuery::Order::kRunFirst || !query.after_place ||
                         core::RunOrder(*query.after_place) < core::RunOrder(job);
  return same(query.tenant, job.key.tenant) && same(query.adapter, job.adapter) &&
         same(query.base, job.base) && same(query.lease_worker, job.lease.worker) && has_labels &&
         expires && ready && follows && is_behind;
}

bool ComesBefore(JobQuery::Order order, const Job& a, const Job& b) {
  switch (order) {
    case JobQuery::Order::kNewestFirst:
      return std::tie(b.key.id, b.key.tenant) < std::tie(a.key.id, a.key.tenant);
    case JobQuery::Order::kRunFirst:
      return core::RunOrder(a) < core::RunOrder(b);
    case JobQuery::Order::kLeaseExpiryFirst:
      return std::tie(a.lease.expiry, a.key.id, a.key.tenant) <
             std::tie(b.lease.expiry, b.key.id, b.key.tenant);
  }
  return false;
}

}  // namespace graft::server::stores
