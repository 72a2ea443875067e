#include <thread>

#include "common/base/sha256.h"
#include "common/objects/keys.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class CoordinatorTest : public ServerFixture {
 protected:
  void Configure() override {
    worker_token_ = "a-secret-of-workers";
    // Work must come by the wake-up, not by looking again.
    limits_.poll = std::chrono::hours(1);
  }
};

TEST_F(CoordinatorTest, LongPollIsWokenByANewJob) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  pb::Lease lease;
  std::thread poll([&] { lease = worker.AcquireOne(); });
  v1::Job job;

  ASSERT_TRUE(Create(Spec(), &job).ok());
  poll.join();

  EXPECT_EQ("jobs/" + lease.job_id(), job.name());
  EXPECT_EQ(lease.attempt(), 1);
  EXPECT_EQ(Get(job.name()).state(), v1::RUNNING);
  std::string bytes;
  ASSERT_TRUE(worker.Get(objects::DatasetKey("default", lease.dataset_sha256()), &bytes).ok());
  EXPECT_EQ(Sha256Hex(bytes), lease.dataset_sha256());
}

TEST_F(CoordinatorTest, PollWithoutWorkReturnsEmptyAfterItsWait) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  pb::AcquireLeasesResponse response;

  const auto begin = steady_clock::now();
  ASSERT_TRUE(worker.Acquire(100, &response).ok());

  EXPECT_GE(steady_clock::now() - begin, milliseconds(100));
  EXPECT_EQ(response.leases_size(), 0);
}

TEST_F(CoordinatorTest, WorkerWithoutTheBaseOrASlotGetsNothing) {
  FakeWorker other(socket_, "w1", {"other"});
  FakeWorker full(socket_, "w2", {"tiny"});
  other.Register();
  full.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);
  pb::AcquireLeasesResponse response;

  ASSERT_TRUE(other.Acquire(0, &response).ok());
  EXPECT_EQ(response.leases_size(), 0);
  ASSERT_TRUE(full.Acquire(0, &response, /*slots=*/0).ok());
  EXPECT_EQ(response.leases_size(), 0);
  ASSERT_TRUE(full.Acquire(0, &response).ok());
  EXPECT_EQ(response.leases_size(), 1);
}

TEST_F(CoordinatorTest, UnknownWorkerIsToldToRegister) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  pb::AcquireLeasesResponse leases;
  EXPECT_EQ(worker.Acquire(0, &leases).error_code(), grpc::StatusCode::NOT_FOUND);
  pb::RenewLeasesResponse renewed;
  ASSERT_TRUE(worker.Renew({}, &renewed).ok());
  EXPECT_TRUE(renewed.unknown_worker());

  worker.Register();

  ASSERT_TRUE(worker.Renew({}, &renewed).ok());
  EXPECT_FALSE(renewed.unknown_worker());
}

TEST_F(CoordinatorTest, LeaseNamesTheVersionToContinue) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job parent = MakeVersion(worker, 'a');
  v1::JobSpec spec = Spec();
  spec.set_init_from("support@1");
  v1::Job job;
  ASSERT_TRUE(Create(spec, &job).ok());

  const pb::Lease lease = worker.AcquireOne();

  EXPECT_EQ(lease.init_from_sha256(), std::string(64, 'a'));
  EXPECT_TRUE(
      lease.init_from_prefix().starts_with(objects::JobPrefix("default", parent.name().substr(5))))
      << lease.init_from_prefix();
  std::string manifest;
  EXPECT_TRUE(worker.Get(lease.init_from_prefix() + "graft.json", &manifest).ok());
}

TEST_F(CoordinatorTest, OldTokenIsRefused) {
  FakeWorker first(socket_, "w1", {"tiny"});
  FakeWorker second(socket_, "w2", {"tiny"});
  first.Register();
  second.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease old = first.AcquireOne();
  boost::asio::post(runtime_.io(), [this] { housekeeping_->WorkerDied("w1"); });
  const pb::Lease current = second.AcquireOne();
  ASSERT_GT(current.token(), old.token());

  // The first worker comes back and knows nothing of it.
  EXPECT_EQ(first.Succeed(old, std::string(64, 'a')).error_code(), grpc::StatusCode::ABORTED);
  pb::RenewLeasesRequest renew;
  *renew.add_leases() = first.Completion(old, pb::CompleteLeaseRequest::RETRY).lease();
  pb::RenewLeasesResponse verdicts;
  ASSERT_TRUE(first.Renew(renew, &verdicts).ok());
  ASSERT_EQ(verdicts.verdicts_size(), 1);
  EXPECT_TRUE(verdicts.verdicts(0).lost());

  ASSERT_TRUE(second.Succeed(current, std::string(64, 'b')).ok());
  const v1::Job done = Get(job.name());
  EXPECT_EQ(done.state(), v1::SUCCEEDED);
  EXPECT_EQ(done.adapter_version_sha256(), std::string(64, 'b'));
  EXPECT_EQ(done.attempts_size(), 2);
}

TEST_F(CoordinatorTest, RenewalIsAnsweredBeforeTheReplacedCheckpointIsGone) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  const auto renew = [&](int64_t step) {
    pb::RenewLeasesRequest request;
    auto& status = *request.add_leases();
    status = worker.Completion(lease, pb::CompleteLeaseRequest::RETRY).lease();
    status.set_checkpoint_key(
        objects::CheckpointKey(lease.tenant(), lease.job_id(), lease.token(), step));
    status.set_checkpoint_sha256(Sha256Hex("x"));
    status.set_checkpoint_step(step);
    pb::RenewLeasesResponse response;
    return worker.Renew(request, &response);
  };
  const std::string replaced =
      objects::CheckpointKey(lease.tenant(), lease.job_id(), lease.token(), 5);
  ASSERT_TRUE(worker.Put(replaced, "x").ok());
  ASSERT_TRUE(renew(5).ok());
  std::promise<void> go_on;
  const std::shared_future<void> disk_is_slow = go_on.get_future().share();
  for (int i = 0; i < calls::Runtime::Options().disk_threads; ++i)
    boost::asio::post(runtime_.disk(), [disk_is_slow] { disk_is_slow.wait(); });

  const grpc::Status renewed = renew(9);

  go_on.set_value();
  EXPECT_TRUE(renewed.ok()) << renewed.error_message();
  while (objects_.Stat(replaced).ok()) std::this_thread::yield();
}

TEST_F(CoordinatorTest, MovesAreCountedByTheReasonsOfTheirEventsAndRepeatsAreNot) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);
  probe_.Take();
  using Moves = std::vector<std::pair<core::JobState, std::string>>;
  Moves expected;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    worker.Register();
    (void)worker.AcquireOne();
    OnIo([this] { housekeeping_->WorkerDied("w1"); });
    (void)WaitFor(job.name(), attempt == 3 ? v1::FAILED : v1::QUEUED);
    expected.emplace_back(core::JobState::kRunning, "LEASED");
    expected.emplace_back(attempt == 3 ? core::JobState::kFailed : core::JobState::kQueued,
                          attempt == 3 ? "TOO_MANY_ATTEMPTS" : "WORKER_DIED");
    while (Get(job.name()).state() == v1::RUNNING) {
    }
  }
  EXPECT_EQ(probe_.Take(), expected);

  worker.Register();
  v1::Job other;
  ASSERT_TRUE(Create(Spec(), &other).ok());
  const pb::Lease lease = worker.AcquireOne();
  ASSERT_TRUE(worker.Succeed(lease, std::string(64, 'a')).ok());
  ASSERT_TRUE(worker.Succeed(lease, std::string(64, 'a')).ok());
  EXPECT_THAT(probe_.Take(),
              testing::ElementsAre(testing::Pair(core::JobState::kQueued, "DATA_READY"),
                                   testing::Pair(core::JobState::kRunning, "LEASED"),
                                   testing::Pair(core::JobState::kSucceeded, "COMPLETED")));
}

TEST_F(CoordinatorTest, CompletionWhoseAnswerWasLostMayBeRepeated) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  ASSERT_TRUE(worker.Succeed(lease, std::string(64, 'a')).ok());

  EXPECT_TRUE(worker.Succeed(lease, std::string(64, 'a')).ok());

  grpc::ClientContext context;
  v1::ListVersionsRequest request;
  request.set_adapter("adapters/support");
  v1::ListVersionsResponse versions;
  ASSERT_TRUE(adapters_->ListVersions(&context, request, &versions).ok());
  EXPECT_EQ(versions.versions_size(), 1);
}

TEST_F(CoordinatorTest, VersionMustLieUnderItsAttempt) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  auto request = worker.Completion(lease, pb::CompleteLeaseRequest::SUCCEEDED);
  request.set_version_sha256(std::string(64, 'a'));
  request.set_artifact_prefix("tenants/other/attempts/x/1/artifact/");

  EXPECT_EQ(worker.Complete(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  request.set_artifact_prefix(
      objects::ArtifactPrefix(lease.tenant(), lease.job_id(), lease.token()));
  EXPECT_EQ(worker.Complete(request).error_code(), grpc::StatusCode::DATA_LOSS)
      << "nothing is stored there";
  EXPECT_EQ(Get(job.name()).state(), v1::RUNNING);
}

TEST_F(CoordinatorTest, CancelReachesTheWorkerAndEndsTheJob) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  grpc::ClientContext context;
  v1::CancelJobRequest cancel;
  cancel.set_name(job.name());
  ASSERT_TRUE(jobs_->CancelJob(&context, cancel, &job).ok());
  EXPECT_EQ(job.state(), v1::RUNNING);
  EXPECT_EQ(job.desired_state(), v1::CANCELLED);
  pb::RenewLeasesRequest renew;
  *renew.add_leases() = worker.Completion(lease, pb::CompleteLeaseRequest::CANCELLED).lease();
  pb::RenewLeasesResponse verdicts;

  ASSERT_TRUE(worker.Renew(renew, &verdicts).ok());

  EXPECT_EQ(verdicts.verdicts(0).desired(), v1::CANCELLED);
  ASSERT_TRUE(worker.Complete(worker.Completion(lease, pb::CompleteLeaseRequest::CANCELLED)).ok());
  EXPECT_EQ(Get(job.name()).state(), v1::CANCELLED);
}

TEST_F(CoordinatorTest, ObjectsArriveWholeOrNotAtAll) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  const std::string key = "tenants/default/attempts/j/1/checkpoints/5";
  const std::string bytes(3 << 20, 'c');

  EXPECT_EQ(worker.Put(key, bytes, Sha256Hex("else")).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_FALSE(objects_.Stat(key).ok());
  EXPECT_EQ(worker.Put("elsewhere/x", bytes).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  for (const char* other :
       {"tenants/../x", "tenants/default/datasets/x", "tenants/default/uploads/x/data",
        "tenants/default/attempts/j/x", "tenants/default/attempts/j/1/../../x"}) {
    EXPECT_EQ(worker.Put(other, bytes).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << other;
  }

  ASSERT_TRUE(worker.Put(key, bytes).ok());
  std::string back;
  ASSERT_TRUE(worker.Get(key, &back).ok());
  EXPECT_EQ(back, bytes);
  EXPECT_EQ(worker.Get("tenants/default/nonesuch", &back).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(CoordinatorTest, TcpPortNeedsTheToken) {
  const auto coordinator = pb::Coordinator::NewStub(channel_);
  const auto call = [&](const std::string& authorization) {
    grpc::ClientContext context;
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    pb::RenewLeasesRequest request;
    request.set_worker_id("w1");
    pb::RenewLeasesResponse response;
    return coordinator->RenewLeases(&context, request, &response).error_code();
  };

  EXPECT_EQ(call(""), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call("Bearer wrong"), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call("a-secret-of-workers"), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call("Bearer a-secret-of-workers"), grpc::StatusCode::OK);
}

TEST_F(CoordinatorTest, TheTokenIsFoundBehindAnotherHeader) {
  const auto coordinator = pb::Coordinator::NewStub(channel_);
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Basic cHJveHk6cHJveHk=");
  context.AddMetadata("authorization", "Bearer of-a-proxy");
  context.AddMetadata("authorization", "Bearer a-secret-of-workers");
  pb::RenewLeasesRequest request;
  request.set_worker_id("w1");
  pb::RenewLeasesResponse response;

  EXPECT_TRUE(coordinator->RenewLeases(&context, request, &response).ok());
}

class NoTokenTest : public ServerFixture {};

TEST_F(NoTokenTest, WithoutATokenNobodyGetsInOverTcp) {
  const auto coordinator = pb::Coordinator::NewStub(channel_);
  for (const char* authorization : {"Bearer ", "Bearer x"}) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", authorization);
    pb::GetObjectRequest request;
    request.set_key("tenants/default/x");
    auto reader = coordinator->GetObject(&context, request);
    pb::ObjectChunk chunk;
    EXPECT_FALSE(reader->Read(&chunk));
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
}

TEST_F(NoTokenTest, DrainEndsThePollButTakesLastWords) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();

  Drain();

  pb::AcquireLeasesResponse none;
  EXPECT_EQ(worker.Acquire(20'000, &none).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(worker.Put("tenants/default/attempts/j/1/checkpoints/5", "x").ok());
  EXPECT_TRUE(worker.Complete(worker.Completion(lease, pb::CompleteLeaseRequest::RELEASED)).ok());
}

class SilenceTest : public ServerFixture {
  void Configure() override {
    limits_.lease = milliseconds(50);
    hub_options_.silent_after = milliseconds(50);
  }
};

TEST_F(SilenceTest, SilentWorkersJobGoesToAnother) {
  FakeWorker silent(socket_, "w1", {"tiny"});
  silent.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lost = silent.AcquireOne();
  FakeWorker other(socket_, "w2", {"tiny"});

  (void)WaitFor(job.name(), v1::RUNNING);
  pb::AcquireLeasesResponse response;
  while (response.leases_size() == 0) {
    other.Register();
    ASSERT_TRUE(other.Acquire(40, &response).ok());
  }

  EXPECT_EQ(response.leases(0).job_id(), lost.job_id());
  EXPECT_GT(response.leases(0).token(), lost.token());
}

}  // namespace
}  // namespace graft::server::rpc
