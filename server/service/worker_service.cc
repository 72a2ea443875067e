#include "server/service/worker_service.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/calls/await.h"
#include "server/service/convert.h"

namespace graft::server::service {
namespace {

/// More than workers run at once.
constexpr size_t kMostRunning = 10'000;

using JobsByWorker = std::map<std::string, std::vector<std::string>>;

graft::v1::Worker ToProto(const std::string& id, const background::WorkerHub::Known& known) {
  graft::v1::Worker worker;
  worker.set_name("workers/" + id);
  worker.set_state(known.is_draining ? "draining" : "ready");
  worker.set_device(known.registered.device());
  worker.set_device_name(known.registered.device_name());
  worker.set_memory_bytes(known.registered.memory_bytes());
  worker.set_free_bytes(known.memory.free_bytes());
  const std::map<std::string, int64_t> held(known.memory.held_bytes().begin(),
                                            known.memory.held_bytes().end());
  for (const auto& [kind, bytes] : held) {
    auto& use = *worker.add_memory();
    use.set_kind(kind);
    use.set_bytes(bytes);
  }
  *worker.mutable_bases() = known.registered.bases();
  for (const std::string& base : known.resident) worker.add_resident_bases(base);
  worker.set_requests(known.outstanding);
  return worker;
}

}  // namespace

calls::Awaitable<StatusOr<graft::v1::ListWorkersResponse>> WorkerService::ListWorkers(
    calls::CallContext& context, const graft::v1::ListWorkersRequest&) {
  auto running = [tenant = context.tenant](core::Transaction& tx) -> StatusOr<JobsByWorker> {
    core::JobQuery query;
    query.tenant = tenant;
    query.states = {core::JobState::kRunning};
    query.limit = kMostRunning;
    GRAFT_ASSIGN_OR_RETURN(const std::vector<core::Job> jobs, tx.ListJobs(query));
    JobsByWorker by_worker;
    for (const core::Job& job : jobs) {
      if (!job.lease.worker.empty()) by_worker[job.lease.worker].push_back(JobName(job.key.id));
    }
    return by_worker;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const JobsByWorker jobs,
                            co_await Read(backend_.runtime, backend_.store, std::move(running)));
  graft::v1::ListWorkersResponse response;
  for (const auto& [id, known] : backend_.workers.All()) {
    graft::v1::Worker& worker = *response.add_workers();
    worker = ToProto(id, known);
    if (const auto own = jobs.find(id); own != jobs.end()) {
      for (const std::string& job : own->second) worker.add_jobs(job);
    }
  }
  co_return response;
}

}  // namespace graft::server::service
