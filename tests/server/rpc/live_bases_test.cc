// Bases that come and go while the server and its workers run: served, listed and refused as they
// are now, and a deadline says what it waited for.

#include <fstream>
#include <thread>

#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;
using testing::HasSubstr;
using testing::Not;

/// Leaves the server's answer time to arrive on a busy machine.
constexpr milliseconds kLateEnough{4000};

class LiveBasesTest : public ServerFixture {
 protected:
  void Configure() override {
    expecting_ = true;
    hub_options_.wait_for_worker = std::chrono::seconds(20);
    housekeeping_options_.count_every = milliseconds(50);
    housekeeping_options_.base_missing = milliseconds(100);
  }
  void SetUp() override {
    ServerFixture::SetUp();
    worker_.emplace(socket_, "w1", std::vector<std::string>{"tiny"});
    worker_->Register();
  }
  void TearDown() override {
    ServerFixture::TearDown();
    worker_.reset();
  }
  std::filesystem::path Bases() const { return folder_->path() / "bases"; }
  grpc::Status Embed(const std::string& base, milliseconds timeout = std::chrono::seconds(20)) {
    grpc::ClientContext context;
    context.set_deadline(system_clock::now() + timeout);
    v1::EmbedRequest request;
    request.set_base(base);
    request.add_inputs()->set_text("good");
    v1::EmbedResponse response;
    return inference_->Embed(&context, request, &response);
  }
  /// A version of the adapter "support" on the base "late".
  void MakeLateVersion() {
    MakeTinyBase(Bases(), "late");
    worker_->HaveInFolder({"late", "tiny"});
    v1::JobSpec spec = Spec();
    spec.set_base("late");
    spec.set_adapter("support");
    spec.set_promote(true);
    v1::Job job;
    ASSERT_TRUE(Create(spec, &job).ok());
    ASSERT_TRUE(worker_->Succeed(worker_->AcquireOne(), std::string(64, 'a')).ok());
  }
  grpc::Status Classify(const std::string& adapter, milliseconds timeout) {
    grpc::ClientContext context;
    context.set_deadline(system_clock::now() + timeout);
    v1::ClassifyRequest request;
    request.set_adapter(adapter);
    request.add_inputs()->set_text("good");
    v1::ClassifyResponse response;
    return inference_->Classify(&context, request, &response);
  }
  grpc::Status Promote(milliseconds timeout) {
    grpc::ClientContext context;
    context.set_deadline(system_clock::now() + timeout);
    v1::SetAliasRequest request;
    request.set_adapter("adapters/support");
    request.set_version("1");
    v1::Adapter adapter;
    return adapters_->SetAlias(&context, request, &adapter);
  }

  std::optional<FakeWorker> worker_;
};

TEST_F(LiveBasesTest, ABaseThatAWorkerGetsLaterIsServedToWhoWaits) {
  MakeTinyBase(Bases(), "late");
  grpc::Status embedded;
  std::thread waiting([&] { embedded = Embed("late"); });

  worker_->HaveInFolder({"late", "tiny"});
  waiting.join();

  EXPECT_TRUE(embedded.ok()) << embedded.error_message();
}

TEST_F(LiveBasesTest, AJobOnABaseThatComesDuringThePollIsLeased) {
  pb::Lease lease;
  std::thread poll([&] { lease = worker_->AcquireOne(); });
  MakeTinyBase(Bases(), "late");
  v1::JobSpec spec = Spec();
  spec.set_base("late");
  v1::Job job;
  ASSERT_TRUE(Create(spec, &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);

  worker_->HaveInFolder({"late", "tiny"});
  poll.join();

  EXPECT_EQ("jobs/" + lease.job_id(), job.name());
  EXPECT_EQ(lease.base_fingerprint().size(), 64U);
  EXPECT_EQ(lease.tokenizer().size(), 64U);
}

TEST_F(LiveBasesTest, ADeadlineSaysWhatItWaitedForAndWhoIsThere) {
  MakeTinyBase(Bases(), "late");

  const grpc::Status status = Embed("late", kLateEnough);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(status.error_message(),
              testing::ContainsRegex("^deadline exceeded after [34]\\.[0-9] s while waiting for a "
                                     "worker that has the base late"));
  EXPECT_THAT(status.error_message(), HasSubstr("workers: 1 up, bases: tiny"));
}

TEST_F(LiveBasesTest, ADeadlineNamesTheWorkerThatDoesNotAnswer) {
  std::promise<void> go_on;
  worker_->on_load = [&](const auto&) {
    go_on.get_future().wait();
    return grpc::Status::OK;
  };
  MakeLateVersion();

  const grpc::Status status = Promote(kLateEnough);
  go_on.set_value();

  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(status.error_message(),
              HasSubstr("waiting for worker w1 to load adapters/support/versions/1"));
}

TEST_F(LiveBasesTest, AVersionOfOtherWeightsIsNotContinued) {
  MakeLateVersion();
  MakeTinyBase(Bases(), "late", /*seed=*/2);
  v1::JobSpec spec = Spec();
  spec.set_base("late");
  spec.set_init_from("support@1");
  v1::Job job;

  const grpc::Status status = Create(spec, &job);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "spec.init_from");
  EXPECT_THAT(status.error_message(),
              HasSubstr("it was trained on other weights than the base late has now"));
}

TEST_F(LiveBasesTest, WhatStandsOnARemovedBaseIsRefusedAtOnceWithTheReason) {
  MakeLateVersion();
  std::filesystem::remove_all(Bases() / "late");
  worker_->HaveInFolder({"tiny"});
  const auto begin = std::chrono::steady_clock::now();

  for (const grpc::Status& status :
       {Classify("support", std::chrono::seconds(19)), Promote(std::chrono::seconds(19))}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("no base named"));
    EXPECT_THAT(status.error_message(), HasSubstr("there are: tiny"));
  }
  EXPECT_EQ(Embed("late").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(LiveBasesTest, ABaseThatWasReplacedByWhatNobodyReadsIsRefusedForThat) {
  MakeLateVersion();
  std::ofstream(Bases() / "late" / "config.json") << "{}";
  worker_->HaveInFolder({"tiny"});
  (void)Embed("late");  // It is read, and found broken.

  const grpc::Status status = Classify("support", std::chrono::seconds(19));

  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("can't be used"));
}

TEST_F(LiveBasesTest, AJobThatWaitsForABaseThatIsGoneEndsWithThatReason) {
  MakeTinyBase(Bases(), "late");
  v1::JobSpec spec = Spec();
  spec.set_base("late");
  v1::Job job;
  ASSERT_TRUE(Create(spec, &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);

  std::filesystem::remove_all(Bases() / "late");
  const v1::Job ended = WaitFor(job.name(), v1::FAILED);

  EXPECT_THAT(ended.error().message(), HasSubstr("no base named"));
  EXPECT_EQ(ended.error().details(0).reason(), "BASE_GONE");
  EXPECT_EQ(ended.error().fault(), "JOB");
}

TEST_F(LiveBasesTest, AJobWhoseBaseChangedBeforeItWasValidatedEndsWithThatReason) {
  validator_->Stop();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());

  MakeTinyBase(Bases(), "tiny", 2);
  validator_->Start();
  const v1::Job ended = WaitFor(job.name(), v1::FAILED);

  EXPECT_EQ(ended.error().details(0).reason(), "BASE_CHANGED");
}

class ImpatientTest : public LiveBasesTest {
  void Configure() override {
    expecting_ = true;
    hub_options_.wait_for_worker = milliseconds(200);
  }
};

TEST_F(ImpatientTest, TheReasonIsTrueWhetherNobodyHasTheBaseOrItsWorkerDrains) {
  MakeLateVersion();
  worker_->HaveInFolder({"tiny"});
  const grpc::Status lacking = Classify("support", std::chrono::seconds(20));
  pb::RenewLeasesRequest drain;
  drain.mutable_bases()->add_ids("late");
  drain.set_draining(true);
  pb::RenewLeasesResponse response;
  ASSERT_TRUE(worker_->Renew(drain, &response).ok());
  const grpc::Status draining = Classify("support", std::chrono::seconds(20));

  EXPECT_EQ(lacking.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(lacking.error_message(), HasSubstr("no worker has the base late in its folder"));
  EXPECT_EQ(draining.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(draining.error_message(), HasSubstr("they drain"));
  EXPECT_THAT(draining.error_message(), Not(HasSubstr("no worker has the base")));
}

}  // namespace
}  // namespace graft::server::rpc
