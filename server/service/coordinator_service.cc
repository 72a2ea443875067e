#include "server/service/coordinator_service.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "common/base/failpoint.h"
#include "common/base/sha256.h"
#include "common/logging/log.h"
#include "common/objects/keys.h"
#include "proto/error_info.h"
#include "proto/report.h"
#include "server/background/collector.h"
#include "server/background/job_probe.h"
#include "server/background/job_trace.h"
#include "server/core/granting.h"
#include "server/core/kept_checkpoints.h"
#include "server/core/leases.h"
#include "server/service/convert.h"
#include "server/service/trained_version.h"

namespace graft::server::service {
namespace {

namespace pb = graft::internal::v1;
using core::Transaction;
using std::chrono::milliseconds;

constexpr int kMaxLeases = 64;    ///< A worker holds, and reports at once.
constexpr int kMaxEvents = 1000;  ///< Of one lease in one report.
constexpr int kMaxBases = 1000;
constexpr size_t kMaxId = 128;
constexpr size_t kMaxChunk = 3 << 20;  ///< Of one message, below gRPC's limit.
constexpr size_t kGetChunk = 1 << 20;

Status CheckMemory(const pb::JobMemory& memory) {
  if (memory.bases_in_use_size() > 2 * kMaxBases)
    return InvalidArgumentError("too many bases").At("memory.bases_in_use");
  return OkStatus();
}

StatusOr<core::LeaseReport> ReportOf(const std::string& worker, const pb::LeaseStatus& status) {
  if (status.events_size() > kMaxEvents) {
    return InvalidArgumentError(fmt::format("a report may have up to {} events", kMaxEvents))
        .At("leases.events");
  }
  core::LeaseReport report;
  report.key = {status.tenant(), status.job_id()};
  report.token = status.token();
  report.worker = worker;
  report.step = status.step();
  report.activity = status.activity();
  for (const auto& event : status.events()) {
    GRAFT_ASSIGN_OR_RETURN(core::JobEvent converted, FromProto(event));
    report.events.push_back(std::move(converted));
  }
  if (!status.checkpoint_key().empty()) {
    if (!status.checkpoint_key().starts_with(
            objects::AttemptPrefix(status.tenant(), status.job_id(), status.token()))) {
      return InvalidArgumentError("a checkpoint must lie under its attempt")
          .At("leases.checkpoint_key");
    }
    report.checkpoint = {status.checkpoint_key(), status.checkpoint_sha256(),
                         status.checkpoint_step()};
  }
  report.resolved_precision = proto::CutText(status.resolved_precision(), 16);
  return report;
}

pb::Lease LeaseOf(const tracing::Tracer& tracer, const core::Job& job) {
  pb::Lease lease;
  lease.set_tenant(job.key.tenant);
  lease.set_job_id(job.key.id);
  lease.set_token(job.lease.token);
  lease.set_spec_json(job.spec_json);
  lease.set_dataset_sha256(job.dataset_sha256);
  lease.set_checkpoint_key(job.checkpoint.key);
  lease.set_checkpoint_sha256(job.checkpoint.sha256);
  lease.set_init_from_sha256(job.init_from_sha256);
  lease.set_init_from_prefix(job.init_from_prefix);
  lease.set_attempt(static_cast<int64_t>(job.attempts.size()));
  lease.set_base_fingerprint(job.base_fingerprint);
  lease.set_tokenizer(job.tokenizer);
  *lease.mutable_job_create_time() = ToTimestamp(job.create_time);
  lease.set_kept_checkpoint_step(core::KeptThrough(job));
  const tracing::SpanContext trace = background::LeaseTraceOf(tracer, job);
  lease.set_traceparent(tracing::Traceparent(trace));
  lease.set_tracestate(trace.state);
  return lease;
}

core::Outcome OutcomeOf(pb::CompleteLeaseRequest::Outcome outcome) {
  switch (outcome) {
    case pb::CompleteLeaseRequest::SUCCEEDED:
      return core::Outcome::kSucceeded;
    case pb::CompleteLeaseRequest::FAILED:
      return core::Outcome::kFailed;
    case pb::CompleteLeaseRequest::RELEASED:
      return core::Outcome::kReleased;
    case pb::CompleteLeaseRequest::PAUSED:
      return core::Outcome::kPaused;
    case pb::CompleteLeaseRequest::CANCELLED:
      return core::Outcome::kCancelled;
    default:
      return core::Outcome::kRetry;
  }
}

/// What a worker makes is its attempt's; the rest of the store is the server's.
bool IsAttemptsKey(const std::string& key) {
  constexpr std::string_view kTenants = "tenants/";
  const size_t end = key.find('/', kTenants.size());
  return key.starts_with(kTenants) && end != std::string::npos &&
         background::ParseAttemptKey(key.substr(kTenants.size(), end - kTenants.size()), key).ok();
}

/// Tells metrics, traces and the log what a poll of `worker` made of jobs.
void Note(const background::Backend& backend, const std::string& worker,
          const core::AcquiredLeases& acquired) {
  for (const core::Job& job : acquired.refused) {
    background::NoteTransition(backend.probe, job);
    background::RecordWait(backend.tracer, job);
    logging::Info(background::About(job), "job {} is FAILED before it began: {}", job.key.id,
                  job.error->message);
  }
  for (const core::Job& job : acquired.granted) {
    background::NoteTransition(backend.probe, job);
    background::RecordWait(backend.tracer, job);
    logging::Info(background::About(job, worker), "job {} goes to {} (attempt {})", job.key.id,
                  worker, job.attempts.size());
  }
}

}  // namespace

Status CheckWorkerId(const std::string& id) {
  if (id.empty() || id.size() > kMaxId)
    return InvalidArgumentError("worker_id must have 1 to 128 bytes").At("worker_id");
  return OkStatus();
}

core::LeaseOptions CoordinatorService::LeaseOptions() const {
  core::LeaseOptions options;
  options.duration = backend_.limits.lease.count() * 1000;
  options.stall_after = backend_.limits.stall.count() * 1000;
  return options;
}

calls::Awaitable<StatusOr<pb::RegisterResponse>> CoordinatorService::Register(
    calls::CallContext&, const pb::RegisterRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckWorkerId(request.worker_id()));
  if (request.engine_address().empty() || request.engine_address().size() > 256 ||
      request.bases_size() > kMaxBases) {
    co_return InvalidArgumentError("engine_address is missing, or there are too many bases")
        .At("engine_address");
  }
  backend_.workers.Register(request);
  pb::RegisterResponse response;
  response.set_lease_ms(backend_.limits.lease.count());
  response.set_renew_ms(std::min<int64_t>(1000, backend_.limits.lease.count() / 4));
  co_return response;
}

calls::Awaitable<StatusOr<pb::AcquireLeasesResponse>> CoordinatorService::AcquireLeases(
    calls::CallContext& context, const pb::AcquireLeasesRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckWorkerId(request.worker_id()));
  if (request.bases_size() > kMaxBases)
    co_return InvalidArgumentError("too many bases").At("bases");
  GRAFT_CO_RETURN_IF_ERROR(CheckMemory(request.memory()));
  if (!backend_.workers.Touch(request.worker_id())) co_return NotFoundError("register first");
  backend_.workers.SetBases(request.worker_id(), {request.bases().begin(), request.bases().end()});
  if (request.has_memory()) backend_.workers.SetMemory(request.worker_id(), request.memory());
  core::WorkerAsk ask;
  ask.worker = request.worker_id();
  ask.max_leases = std::clamp(request.free_slots(), 0, kMaxLeases);
  const auto give_up = std::chrono::steady_clock::now() +
                       std::min(milliseconds(std::clamp<int64_t>(request.wait_ms(), 0, 600'000)),
                                context.TimeLeft());

  background::JobChanges::Subscription changes(backend_.changes, {});
  pb::AcquireLeasesResponse response;
  while (true) {
    // Heartbeats tell of bases that came or went while this call waits, and of memory.
    const auto tell = [&] {
      ask.bases = backend_.workers.BasesOf(request.worker_id());
      ask.memory = backend_.workers.MemoryOf(request.worker_id());
      ask.places = backend_.workers.Places();
    };
    tell();
    ask.walk = backend_.workers.WalkOf(request.worker_id());
    auto find = [ask, options = LeaseOptions()](Transaction& tx) {
      return core::FindWork(tx, ask, options);
    };
    GRAFT_CO_ASSIGN_OR_RETURN(core::Work work,
                              co_await Read(backend_.runtime, backend_.store, std::move(find)));
    // The worker may have died, and been told dead, while this call waited for it.
    if (!backend_.workers.Touch(request.worker_id())) co_return NotFoundError("register first");
    backend_.workers.SetWalk(request.worker_id(), std::move(work.walk));
    if (!work.jobs.empty()) {
      // As it is when the write is queued: no older than what that will find in the store.
      tell();
      auto acquire = [ask, jobs = std::move(work.jobs), options = LeaseOptions()](Transaction& tx) {
        return core::AcquireLeases(tx, ask, jobs, options);
      };
      GRAFT_CO_ASSIGN_OR_RETURN(
          const core::AcquiredLeases acquired,
          co_await Write(backend_.runtime, backend_.store, std::move(acquire)));
      if (!acquired.granted.empty()) GRAFT_FAILPOINT("server.after_lease_granted");
      Note(backend_, ask.worker, acquired);
      for (const core::Job& job : acquired.granted)
        *response.add_leases() = LeaseOf(backend_.tracer, job);
      if (response.leases_size() > 0) co_return response;
    }
    const auto left = std::chrono::ceil<milliseconds>(give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return response;
    // Also for jobs that wait after a fault: nobody tells when their time has come.
    co_await changes.Wait(std::min(left, backend_.limits.poll));
  }
}

calls::Awaitable<void> CoordinatorService::DropObjects(std::vector<std::string> keys) {
  auto remove = [keys = std::move(keys), &store = backend_.objects]() -> Status {
    for (const std::string& key : keys) GRAFT_RETURN_IF_ERROR(store.Delete(key));
    return OkStatus();
  };
  // What stays is the collector's.
  if (const Status removed = co_await OnDisk(backend_.runtime, std::move(remove)); !removed.ok())
    spdlog::warn("cannot remove a replaced checkpoint now: {}", removed.message());
}

calls::Awaitable<StatusOr<pb::RenewLeasesResponse>> CoordinatorService::RenewLeases(
    calls::CallContext&, const pb::RenewLeasesRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckWorkerId(request.worker_id()));
  if (request.leases_size() > kMaxLeases)
    co_return InvalidArgumentError("too many leases").At("leases");
  if (request.bases().ids_size() > kMaxBases)
    co_return InvalidArgumentError("too many bases").At("bases");
  GRAFT_CO_RETURN_IF_ERROR(CheckMemory(request.memory()));
  pb::RenewLeasesResponse response;
  if (!backend_.workers.Touch(request.worker_id())) {
    response.set_unknown_worker(true);
  } else {
    backend_.workers.Update(request);
  }
  std::vector<core::LeaseReport> reports;
  for (const auto& lease : request.leases()) {
    GRAFT_CO_ASSIGN_OR_RETURN(core::LeaseReport report, ReportOf(request.worker_id(), lease));
    reports.push_back(std::move(report));
  }
  if (reports.empty()) co_return response;
  using Verdicts = std::vector<core::LeaseVerdict>;
  auto renew = [reports, options = LeaseOptions()](Transaction& tx) -> StatusOr<Verdicts> {
    Verdicts verdicts;
    for (const core::LeaseReport& report : reports) {
      GRAFT_ASSIGN_OR_RETURN(const core::LeaseVerdict verdict,
                             core::RenewLease(tx, report, options));
      verdicts.push_back(verdict);
    }
    return verdicts;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Verdicts verdicts,
                            co_await Write(backend_.runtime, backend_.store, std::move(renew)));
  std::vector<std::string> replaced;
  for (const core::LeaseVerdict& verdict : verdicts)
    if (!verdict.replaced_checkpoint.empty()) replaced.push_back(verdict.replaced_checkpoint);
  // Beside the answer: a heartbeat must not wait for a slow disk.
  if (!replaced.empty())
    boost::asio::co_spawn(backend_.runtime.io(), DropObjects(std::move(replaced)),
                          boost::asio::detached);
  for (size_t i = 0; i < verdicts.size(); ++i) {
    auto& verdict = *response.add_verdicts();
    verdict.set_tenant(reports[i].key.tenant);
    verdict.set_job_id(reports[i].key.id);
    verdict.set_token(reports[i].token);
    verdict.set_lost(verdicts[i].lost);
    verdict.set_desired(ToProto(verdicts[i].desired));
  }
  co_return response;
}

calls::Awaitable<StatusOr<pb::CompleteLeaseResponse>> CoordinatorService::CompleteLease(
    calls::CallContext& context, const pb::CompleteLeaseRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckWorkerId(request.worker_id()));
  GRAFT_CO_RETURN_IF_ERROR(CheckMemory(request.memory()));
  (void)backend_.workers.Touch(request.worker_id());
  core::Completion completion;
  GRAFT_CO_ASSIGN_OR_RETURN(completion.report, ReportOf(request.worker_id(), request.lease()));
  completion.outcome = OutcomeOf(request.outcome());
  completion.error = FromProto(request.error());
  completion.facts = proto::FromProto(request.facts());
  tracing::ActiveSpan making;
  if (completion.outcome == core::Outcome::kSucceeded) {
    making = backend_.tracer.StartBelow("version", context.span.context());
    const core::LeaseReport& report = completion.report;
    const std::string prefix =
        objects::ArtifactPrefix(report.key.tenant, report.key.id, report.token);
    GRAFT_CO_ASSIGN_OR_RETURN(completion.version, TrainedVersion(request, prefix));
    completion.version.kept_step = request.kept_step();
    completion.version.traceparent = tracing::Traceparent(making.context());
    GRAFT_CO_RETURN_IF_ERROR(co_await CheckStored(backend_, prefix));
  }
  struct Completed {
    core::Job job;
    bool repeated = false;
  };
  if (completion.outcome == core::Outcome::kReleased && request.has_error())
    completion.places = backend_.workers.Places();
  auto complete = [completion, unproved = request.unproved(),
                   options = LeaseOptions()](Transaction& tx) -> StatusOr<Completed> {
    core::Completion filled = completion;
    GRAFT_ASSIGN_OR_RETURN(const core::Job before, tx.GetJob(filled.report.key));
    SpecOfVersion spec = ReadSpecOfVersion(before.spec_json);
    filled.version.method_json = std::move(spec.method_json);
    filled.version.description = std::move(spec.description);
    filled.promote = spec.promote && !unproved;
    GRAFT_ASSIGN_OR_RETURN(core::Job after, core::CompleteLease(tx, filled, options));
    const bool repeated = after.revision == before.revision;
    return Completed{std::move(after), repeated};
  };
  GRAFT_FAILPOINT("server.before_complete");
  // Before the job's end is, for that makes room: what waits for it must not be overtaken because
  // the job seems to have its memory still.
  if (request.has_memory()) backend_.workers.SetMemory(request.worker_id(), request.memory());
  const StatusOr<Completed> completed =
      co_await Write(backend_.runtime, backend_.store, std::move(complete));
  making.Fail(completed.status());
  if (!completed.ok()) co_return completed.status();
  GRAFT_FAILPOINT("server.after_complete");
  if (completed->repeated) {
    making.Discard();
    co_return pb::CompleteLeaseResponse();
  }
  const core::Job& job = completed->job;
  background::NoteTransition(backend_.probe, job);
  background::RecordLease(backend_.tracer, job);
  if (job.version_number != 0) {
    making.Set("graft.version", VersionName(job.adapter, job.version_number));
  } else if (job.error) {
    making.Fail(Status(job.error->code, job.error->message));
  }
  logging::Info(background::About(job), "job {} is {} after attempt {}{}", job.key.id,
                core::JobStateName(job.state), job.attempts.size(),
                job.error ? ": " + job.error->message : "");
  co_return pb::CompleteLeaseResponse();
}

calls::Awaitable<Status> CoordinatorService::GetObject(
    calls::CallContext&, const pb::GetObjectRequest& request,
    calls::StreamWriter<pb::ObjectChunk>& writer) {
  for (uint64_t offset = 0;;) {
    auto read = [&store = backend_.objects, key = request.key(), offset] {
      return store.ReadRange(key, offset, kGetChunk);
    };
    GRAFT_CO_ASSIGN_OR_RETURN(std::string chunk,
                              co_await OnDisk(backend_.runtime, std::move(read)));
    const bool last = chunk.size() < kGetChunk;
    offset += chunk.size();
    pb::ObjectChunk message;
    message.set_data(std::move(chunk));
    if (!co_await writer.Write(std::move(message)))
      co_return CancelledError("the worker went away");
    if (last) co_return OkStatus();
  }
}

calls::Awaitable<StatusOr<pb::PutObjectResponse>> CoordinatorService::PutObject(
    calls::CallContext&, calls::StreamReader<pb::PutObjectRequest>& reader) {
  if (!co_await reader.Read())
    co_return InvalidArgumentError("an object begins with its key").At("key");
  struct Upload {
    std::unique_ptr<objects::ObjectWriter> writer;
    Sha256 hash;
  };
  auto upload = std::make_shared<Upload>();
  const std::string key = reader.message().key();
  const std::string sha256 = reader.message().sha256();
  if (!IsAttemptsKey(key) || !IsSha256Hex(sha256)) {
    co_return InvalidArgumentError("an object needs an attempt's key and its SHA-256").At("key");
  }
  auto open = [upload, key, &store = backend_.objects]() -> Status {
    GRAFT_ASSIGN_OR_RETURN(upload->writer, store.OpenWriter(key));
    return OkStatus();
  };
  GRAFT_CO_RETURN_IF_ERROR(co_await OnDisk(backend_.runtime, std::move(open)));
  do {
    if (reader.message().chunk().size() > kMaxChunk)
      co_return InvalidArgumentError("a chunk is too large").At("chunk");
    auto write = [upload, chunk = std::move(*reader.message().mutable_chunk())]() -> Status {
      upload->hash.Update(chunk);
      return upload->writer->Write(chunk);
    };
    GRAFT_CO_RETURN_IF_ERROR(co_await OnDisk(backend_.runtime, std::move(write)));
  } while (co_await reader.Read());
  auto commit = [upload, sha256]() -> Status {
    if (upload->hash.HexDigest() != sha256)
      return DataLossError("the object's bytes don't have the hash it came with");
    return upload->writer->Commit();
  };
  GRAFT_CO_RETURN_IF_ERROR(co_await OnDisk(backend_.runtime, std::move(commit)));
  co_return pb::PutObjectResponse();
}

}  // namespace graft::server::service
