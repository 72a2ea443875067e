#include "worker/agent/agent.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "common/base/fault.h"
#include "common/base/guard.h"
#include "worker/agent/convert.h"

namespace graft::worker::agent {
namespace {

using namespace std::chrono_literals;
namespace pb = graft::internal::v1;
using Stub = ServerLink::Coordinator::Stub;

constexpr auto kCallTimeout = 10s;
/// How long the server may hold the long poll.
constexpr int64_t kPollMs = 20'000;
/// Progress is reported as it happens, but not more often than this.
constexpr auto kReportPause = 100ms;
/// A base that was added, changed or removed is known so much later.
constexpr auto kLookAtBasesEvery = 1s;
/// After a round that threw: what it lacked may be there again.
constexpr auto kPauseAfterFault = 1s;

}  // namespace

Agent::Agent(AgentOptions options, engine::Engine& engine, std::shared_ptr<ServerLink> server,
             std::shared_ptr<Objects> objects)
    : options_(std::move(options)),
      engine_(engine),
      server_(std::move(server)),
      objects_(std::move(objects)) {}

Agent::~Agent() {
  Drain(0ms);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& runner : runners_) runner->SetLost();
  }
  server_->Shutdown();
  wake_.notify_all();
  if (poll_.joinable()) poll_.join();
  if (heartbeat_.joinable()) heartbeat_.join();
  if (look_.joinable()) look_.join();
  runners_.clear();
}

void Agent::Start() {
  last_beat_ = std::chrono::steady_clock::now() - 1h;
  bases_ = engine_.BaseIds();
  poll_ = Repeat("polling for work", &Agent::Poll);
  heartbeat_ = Repeat("the heartbeat", &Agent::Beat);
  look_ = Repeat("looking at the bases", &Agent::LookAtBases);
}

std::thread Agent::Repeat(const char* what, bool (Agent::*round)()) {
  const auto failed = [what](const Status& status) {
    spdlog::error("{} failed and is tried again: {}", what, status.message());
  };
  const auto rounds = [this, round, failed] {
    for (bool go_on = true; go_on;) {
      const Status status = Contained([&] { go_on = (this->*round)(); });
      if (status.ok()) continue;
      static_cast<void>(Contained([&] { failed(status); }));
      go_on = !WaitFor(kPauseAfterFault);
    }
  };
  return StartThread(rounds, failed);
}

bool Agent::registered() const {
  const std::lock_guard lock(mutex_);
  return registered_;
}

bool Agent::WaitFor(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, time, [this] { return stopping_; });
}

bool Agent::RegisterUntilDone() {
  const engine::DeviceFacts facts = engine_.device_facts();
  pb::RegisterRequest request;
  request.set_worker_id(options_.worker_id);
  request.set_engine_address(options_.engine_address);
  request.set_device(facts.device);
  request.set_device_name(facts.name);
  request.set_memory_bytes(facts.memory_bytes);
  request.set_job_bytes(engine_.job_memory().most_bytes);
  request.set_threads(facts.threads);
  request.set_fast_bf16(facts.fast_bf16);
  request.set_rounds_sums(facts.rounds_sums);
  request.set_bf16_gflops(facts.bf16_gflops);
  request.set_fp32_gflops(facts.fp32_gflops);
  request.set_build(options_.build);
  Status told;
  for (auto pause = 50ms;; pause = std::min(pause * 2, std::chrono::milliseconds(1000))) {
    {
      const std::lock_guard lock(mutex_);
      *request.mutable_bases() = {bases_.begin(), bases_.end()};
    }
    const auto reply = server_->Call(&Stub::Register, request, kCallTimeout);
    // Once, or the log would fill while the server is away.
    if (!reply.ok() && reply.status().code() != told.code())
      spdlog::warn("cannot register with the server: {}", reply.status().message());
    told = reply.status();
    if (reply.ok()) {
      const std::lock_guard lock(mutex_);
      if (reply->renew_ms() > 0) renew_ = std::chrono::milliseconds(reply->renew_ms());
      registered_ = true;
      return !stopping_;
    }
    if (WaitFor(pause)) return false;
  }
}

bool Agent::LookAtBases() {
  engine_.RefreshBases();
  std::vector<std::string> bases = engine_.BaseIds();
  {
    const std::lock_guard lock(mutex_);
    if (bases != bases_) {
      bases_ = std::move(bases);
      report_soon_ = true;
    }
  }
  wake_.notify_all();
  return !WaitFor(kLookAtBasesEvery);
}

bool Agent::Poll() {
  bool must_register = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    must_register = !registered_;
  }
  if (must_register && !RegisterUntilDone()) return false;
  const auto busy = static_cast<int>(Reap());
  pb::AcquireLeasesRequest request;
  {
    std::unique_lock lock(mutex_);
    const bool resting = std::chrono::steady_clock::now() < rest_until_;
    if (draining_ || resting || busy >= options_.max_jobs) {
      wake_.wait_for(lock, 200ms, [this] { return stopping_ || AnyDone(); });
      return true;
    }
    *request.mutable_bases() = {bases_.begin(), bases_.end()};
  }
  request.set_worker_id(options_.worker_id);
  request.set_free_slots(options_.max_jobs - busy);
  *request.mutable_memory() = TellMemory(engine_);
  request.set_wait_ms(kPollMs);
  auto reply = server_->Call(&Stub::AcquireLeases, request,
                             std::chrono::milliseconds(kPollMs) + kCallTimeout);
  if (reply.ok()) {
    Begin(*reply);
    return true;
  }
  const bool forgotten = reply.status().code() == StatusCode::kNotFound ||
                         reply.status().code() == StatusCode::kFailedPrecondition ||
                         reply.status().code() == StatusCode::kUnavailable;
  if (forgotten) {
    const std::lock_guard lock(mutex_);
    registered_ = false;
  }
  return !WaitFor(100ms);
}

void Agent::Begin(pb::AcquireLeasesResponse& granted) {
  const auto on_change = [this] {
    {
      const std::lock_guard lock(mutex_);
      report_soon_ = true;
    }
    wake_.notify_all();
  };
  const std::lock_guard lock(mutex_);
  for (pb::Lease& lease : *granted.mutable_leases()) {
    runners_.push_back(
        std::make_unique<JobRunner>(JobRunner::Context{.worker_id = options_.worker_id,
                                                       .engine = &engine_,
                                                       .server = server_,
                                                       .objects = objects_,
                                                       .on_change = on_change,
                                                       .tracer = options_.tracer},
                                    std::move(lease)));
    if (draining_) runners_.back()->Release();
  }
}

bool Agent::AnyDone() const {
  return std::ranges::any_of(runners_, [](const auto& runner) { return runner->done(); });
}

size_t Agent::Reap() {
  std::list<std::unique_ptr<JobRunner>> gone;
  const std::lock_guard lock(mutex_);
  for (auto runner = runners_.begin(); runner != runners_.end();) {
    const auto next = std::next(runner);
    if ((*runner)->done()) gone.splice(gone.end(), runners_, runner);
    runner = next;
  }
  for (const auto& runner : gone) NoteEnd(runner->failure());
  return runners_.size();
}

void Agent::NoteEnd(const Status& failure) {
  if (engine::IsDeviceFailure(failure)) {
    spdlog::error("the device is lost to this process, which ends");
    draining_ = true;
    options_.on_device_failed();
  }
  if (failure.ok() || !IsWorthRetrying(failure)) {
    failures_ = 0;
    return;
  }
  constexpr int kMaxDoublings = 7;
  const auto rest = 500ms * (1 << std::min(failures_, kMaxDoublings));
  if (engine::IsRefusedForMemory(failure)) {
    spdlog::warn("a job was handed back: {}; no lease is taken for {} ms", failure.message(),
                 rest.count());
  } else {
    spdlog::warn("a job failed by this machine's fault; no lease is taken for {} ms", rest.count());
  }
  rest_until_ = std::chrono::steady_clock::now() + rest;
  ++failures_;
}

bool Agent::Beat() {
  {
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, last_beat_ + renew_, [this] { return stopping_ || report_soon_; });
    if (stopping_) return false;
    // What is new goes at once, but never faster than a person can read.
    if (report_soon_)
      wake_.wait_until(lock, last_beat_ + kReportPause, [this] { return stopping_; });
    if (stopping_) return false;
    report_soon_ = false;
    if (!registered_) {
      wake_.wait_for(lock, 50ms, [this] { return stopping_; });
      return true;
    }
  }
  last_beat_ = std::chrono::steady_clock::now();
  RenewOnce();
  return true;
}

void Agent::RenewOnce() {
  pb::RenewLeasesRequest request;
  request.set_worker_id(options_.worker_id);
  for (const engine::ResidentBase& base : engine_.resident_bases()) {
    auto* resident = request.add_resident();
    resident->set_id(base.id);
    resident->set_fingerprint(base.fingerprint);
    resident->set_family(base.family);
    resident->set_parameters(base.parameters);
    resident->set_bytes(base.bytes);
  }
  const auto find = [this](const std::string& tenant, const std::string& job,
                           int64_t token) -> JobRunner* {
    for (const auto& runner : runners_) {
      const pb::Lease& lease = runner->lease();
      if (lease.tenant() == tenant && lease.job_id() == job && lease.token() == token)
        return runner.get();
    }
    return nullptr;
  };
  {
    const std::lock_guard lock(mutex_);
    request.set_draining(draining_);
    *request.mutable_bases()->mutable_ids() = {bases_.begin(), bases_.end()};
    for (const auto& runner : runners_) {
      if (!runner->done()) *request.add_leases() = runner->TakeReport();
    }
  }
  // Behind the reports: a job that says it has its memory has it in these figures.
  *request.mutable_memory() = TellMemory(engine_);
  const auto reply = server_->Call(&Stub::RenewLeases, request, kCallTimeout);
  const std::lock_guard lock(mutex_);
  if (!reply.ok()) {
    for (pb::LeaseStatus& report : *request.mutable_leases()) {
      if (JobRunner* runner = find(report.tenant(), report.job_id(), report.token()))
        runner->PutBack(std::move(report));
    }
    return;
  }
  if (reply->unknown_worker()) registered_ = false;
  for (const auto& verdict : reply->verdicts()) {
    JobRunner* runner = find(verdict.tenant(), verdict.job_id(), verdict.token());
    if (runner == nullptr) continue;
    if (verdict.lost()) {
      runner->SetLost();
    } else {
      runner->SetDesired(verdict.desired());
    }
  }
  // Behind the verdicts: a lease that is lost has no end to tell.
  for (const pb::LeaseStatus& report : request.leases()) {
    if (JobRunner* runner = find(report.tenant(), report.job_id(), report.token()))
      runner->Arrived();
  }
}

void Agent::Drain(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  for (const auto& runner : runners_) runner->Release();
  report_soon_ = true;
  wake_.notify_all();
  wake_.wait_for(lock, timeout, [this] {
    for (const auto& runner : runners_) {
      if (!runner->done()) return false;
    }
    return true;
  });
}

}  // namespace graft::worker::agent
