#pragma once
/// A coordinator that keeps leases and objects in memory and answers as graft-server does, unless a
/// test says otherwise; it writes down what it was asked. Usage:
///   FakeCoordinator server("unix:" + path);
///   server.on_put = [](const std::string& key) { return UnavailableError("away"); };
///   server.Grant(lease);                  // to the next poll
///   server.SetDesired("job", v1::PAUSED); // what its next verdict says
///   ASSERT_TRUE(server.WaitUntil([](const FakeCoordinator::Seen& seen) {
///     return seen.jobs.at("job").completion.has_value(); }));

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/server_builder.h>

#include "common/base/sha256.h"
#include "graft/internal/v1/coordinator.grpc.pb.h"
#include "proto/grpc_status.h"

namespace graft::worker::agent {

namespace pb = graft::internal::v1;
namespace v1 = graft::v1;

/// Longer than anything takes on a busy machine: only a test that fails waits so long.
inline constexpr std::chrono::seconds kLongEnough{60};

/// Thread safety: thread-safe, but the hooks and `renew_ms` are set before calls begin.
class FakeCoordinator final : public pb::Coordinator::Service {
 public:
  using Context = grpc::ServerContext;

  /// What the server has on record of a job and the lease on it.
  struct Job {
    pb::Lease lease;
    bool granted = false;
    bool over = false;  ///< Completed, or taken away: who reports for it hears that it is lost.
    v1::JobState desired = v1::RUNNING;
    std::vector<v1::JobEvent> events;  ///< Of all reports that were taken, in their order.
    pb::LeaseStatus checkpoint;        ///< The report that brought the newest.
    std::optional<pb::CompleteLeaseRequest> completion;  ///< That was taken.
    std::vector<pb::KeepCheckpointRequest> kept;         ///< Those that were taken.
  };
  /// All calls, those that were refused too, in their order.
  struct Seen {
    std::vector<pb::RegisterRequest> registers;
    std::vector<pb::AcquireLeasesRequest> polls;
    std::vector<pb::RenewLeasesRequest> renewals;
    std::vector<pb::CompleteLeaseRequest> completions;
    std::vector<pb::KeepCheckpointRequest> keeps;
    std::vector<std::string> gets, puts;         ///< Keys.
    std::map<std::string, std::string> objects;  ///< That are stored.
    std::map<std::string, Job> jobs;             ///< By id.
  };

  /// Asked when a call comes, before it does anything; what isn't OK is the answer. They may block,
  /// and call back.
  std::function<Status(const pb::RegisterRequest&)> on_register;
  std::function<Status(const pb::RenewLeasesRequest&)> on_renew;
  std::function<Status(const pb::CompleteLeaseRequest&)> on_complete;
  std::function<Status(const pb::KeepCheckpointRequest&)> on_keep;
  std::function<Status(const std::string&key)> on_get, on_put;
  int64_t renew_ms = 20;

  /// `listen`: unix:/path.
  explicit FakeCoordinator(std::string listen) : address_(std::move(listen)) { Start(); }
  ~FakeCoordinator() override { Stop(); }
  const std::string& address() const { return address_; }

  /// As a new process would: objects and jobs are there, workers are unknown.
  void Start() {
    const std::lock_guard lock(mutex_);
    stopping_ = false;
    worker_.clear();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  void Stop() {
    Change([&] { stopping_ = true; });
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  /// Puts the lease on record, as held by whoever the test gives it to.
  void Hold(const pb::Lease& lease) {
    Change([&] { Record(lease).granted = true; });
  }
  /// Gives the lease to the next poll with a free slot.
  void Grant(const pb::Lease& lease) {
    Change([&] {
      Record(lease);
      queue_.push_back(lease.job_id());
    });
  }
  void SetDesired(const std::string& job, v1::JobState desired) {
    Change([&] { seen_.jobs[job].desired = desired; });
  }
  /// As if the lease had expired.
  void TakeAway(const std::string& job) {
    Change([&] { seen_.jobs[job].over = true; });
  }
  void ForgetWorker() {
    Change([&] { worker_.clear(); });
  }
  void Store(const std::string& key, const std::string& bytes) {
    Change([&] { seen_.objects[key] = bytes; });
  }
  void Erase(const std::string& key) {
    Change([&] { seen_.objects.erase(key); });
  }

  Seen seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  Job job(const std::string& id) const { return seen().jobs.at(id); }
  /// Waits for it; false if it doesn't come true in kLongEnough.
  bool WaitUntil(const std::function<bool(const Seen&)>& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLongEnough, [&] { return holds(seen_); });
  }
  /// Waits until the job's end is on record.
  bool WaitUntilCompleted(const std::string& job) {
    return WaitUntil([&](const Seen& seen) { return seen.jobs.at(job).completion.has_value(); });
  }

  grpc::Status Register(Context*, const pb::RegisterRequest* request,
                        pb::RegisterResponse* reply) override {
    Change([&] { seen_.registers.push_back(*request); });
    if (const Status asked = Ask(on_register, *request); !asked.ok())
      return proto::ToGrpcStatus(asked);
    Change([&] { worker_ = request->worker_id(); });
    reply->set_lease_ms(10'000);
    reply->set_renew_ms(renew_ms);
    return grpc::Status::OK;
  }

  grpc::Status AcquireLeases(Context* context, const pb::AcquireLeasesRequest* request,
                             pb::AcquireLeasesResponse* reply) override {
    Change([&] { seen_.polls.push_back(*request); });
    const auto give_up =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(request->wait_ms());
    std::unique_lock lock(mutex_);
    for (;;) {
      if (stopping_ || context->IsCancelled()) return {grpc::StatusCode::UNAVAILABLE, "stopping"};
      if (worker_ != request->worker_id()) return {grpc::StatusCode::NOT_FOUND, "register first"};
      while (!queue_.empty() && reply->leases_size() < request->free_slots()) {
        Job& job = seen_.jobs[queue_.front()];
        job.granted = true;
        *reply->add_leases() = job.lease;
        queue_.pop_front();
      }
      if (reply->leases_size() > 0 || std::chrono::steady_clock::now() >= give_up) break;
      // In slices, for nobody is told when a client goes away.
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status RenewLeases(Context*, const pb::RenewLeasesRequest* request,
                           pb::RenewLeasesResponse* reply) override {
    Change([&] { seen_.renewals.push_back(*request); });
    if (const Status asked = Ask(on_renew, *request); !asked.ok())
      return proto::ToGrpcStatus(asked);
    Change([&] {
      reply->set_unknown_worker(worker_ != request->worker_id());
      for (const pb::LeaseStatus& report : request->leases()) {
        auto& verdict = *reply->add_verdicts();
        verdict.set_tenant(report.tenant());
        verdict.set_job_id(report.job_id());
        verdict.set_token(report.token());
        Job* job = Held(report);
        verdict.set_lost(job == nullptr);
        verdict.set_desired(job == nullptr ? v1::CANCELLED : job->desired);
        if (job != nullptr) Take(report, *job);
      }
    });
    return grpc::Status::OK;
  }

  grpc::Status CompleteLease(Context*, const pb::CompleteLeaseRequest* request,
                             pb::CompleteLeaseResponse*) override {
    Change([&] { seen_.completions.push_back(*request); });
    if (const Status asked = Ask(on_complete, *request); !asked.ok())
      return proto::ToGrpcStatus(asked);
    grpc::Status answer;
    Change([&] {
      Job* job = Held(request->lease());
      if (job == nullptr) {
        answer = {grpc::StatusCode::ABORTED, "the lease is over"};
        return;
      }
      Take(request->lease(), *job);
      job->over = true;
      job->completion = *request;
    });
    return answer;
  }

  grpc::Status KeepCheckpoint(Context*, const pb::KeepCheckpointRequest* request,
                              pb::KeepCheckpointResponse*) override {
    Change([&] { seen_.keeps.push_back(*request); });
    if (const Status asked = Ask(on_keep, *request); !asked.ok()) return proto::ToGrpcStatus(asked);
    grpc::Status answer;
    Change([&] {
      Job* job = Held(*request);
      if (job == nullptr) {
        answer = {grpc::StatusCode::ABORTED, "the lease is over"};
      } else {
        job->kept.push_back(*request);
      }
    });
    return answer;
  }

  grpc::Status GetObject(Context*, const pb::GetObjectRequest* request,
                         grpc::ServerWriter<pb::ObjectChunk>* writer) override {
    Change([&] { seen_.gets.push_back(request->key()); });
    if (const Status asked = Ask(on_get, request->key()); !asked.ok())
      return proto::ToGrpcStatus(asked);
    std::optional<std::string> bytes;
    Change([&] {
      const auto found = seen_.objects.find(request->key());
      if (found != seen_.objects.end()) bytes = found->second;
    });
    if (!bytes) return {grpc::StatusCode::NOT_FOUND, "no object " + request->key()};
    for (size_t at = 0; at < bytes->size(); at += kChunk) {
      pb::ObjectChunk chunk;
      chunk.set_data(bytes->substr(at, kChunk));
      writer->Write(chunk);
    }
    return grpc::Status::OK;
  }

  grpc::Status PutObject(Context*, grpc::ServerReader<pb::PutObjectRequest>* reader,
                         pb::PutObjectResponse*) override {
    pb::PutObjectRequest message;
    if (!reader->Read(&message)) return {grpc::StatusCode::INVALID_ARGUMENT, "no key"};
    const std::string key = message.key();
    const std::string sha256 = message.sha256();
    Change([&] { seen_.puts.push_back(key); });
    if (const Status asked = Ask(on_put, key); !asked.ok()) return proto::ToGrpcStatus(asked);
    std::string bytes = message.chunk();
    while (reader->Read(&message)) bytes += message.chunk();
    if (Sha256Hex(bytes) != sha256) return {grpc::StatusCode::DATA_LOSS, "another hash"};
    Store(key, bytes);
    return grpc::Status::OK;
  }

 private:
  static constexpr size_t kChunk = 10'000;  ///< Small, so that objects have several.

  template <typename Hook, typename Asked>
  static Status Ask(const Hook& hook, const Asked& asked) {
    return hook ? hook(asked) : OkStatus();
  }
  template <typename Body>
  void Change(Body&& body) {
    {
      const std::lock_guard lock(mutex_);
      body();
    }
    changed_.notify_all();
  }
  /// A new lease, maybe on a job of before. Requires: mutex_.
  Job& Record(const pb::Lease& lease) {
    Job& job = seen_.jobs[lease.job_id()] = Job();
    job.lease = lease;
    return job;
  }
  /// The job whose lease the report is of; null if that is over. Requires: mutex_.
  template <typename Report>
  Job* Held(const Report& report) {
    const auto found = seen_.jobs.find(report.job_id());
    if (found == seen_.jobs.end() || found->second.over ||
        found->second.lease.token() != report.token())
      return nullptr;
    return &found->second;
  }
  static void Take(const pb::LeaseStatus& report, Job& job) {
    job.events.insert(job.events.end(), report.events().begin(), report.events().end());
    if (!report.checkpoint_key().empty()) job.checkpoint = report;
  }

  const std::string address_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Seen seen_;
  std::deque<std::string> queue_;  ///< Jobs to grant.
  std::string worker_;             ///< That is registered; empty for none.
  bool stopping_ = false;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace graft::worker::agent
