#include <string>
#include <vector>

#include "common/objects/keys.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class KeepCheckpointTest : public ServerFixture {
 protected:
  static std::string Hash(char digit) { return std::string(64, digit); }
  v1::Job CreateKeeping(int most, bool promote = false) {
    v1::JobSpec spec = Spec();
    spec.mutable_hyperparameters()->set_keep_checkpoints(most);
    spec.set_promote(promote);
    spec.set_description("a test's");
    v1::Job job;
    const grpc::Status created = Create(spec, &job);
    EXPECT_TRUE(created.ok()) << created.error_message();
    return job;
  }
  v1::ListVersionsResponse List(const std::string& filter = {}, const std::string& token = {},
                                int page_size = 0) {
    grpc::ClientContext context;
    v1::ListVersionsRequest request;
    request.set_adapter("adapters/support");
    request.set_filter(filter);
    request.set_page_token(token);
    request.set_page_size(page_size);
    v1::ListVersionsResponse response;
    const grpc::Status listed = adapters_->ListVersions(&context, request, &response);
    EXPECT_TRUE(listed.ok()) << listed.error_message();
    return response;
  }
  /// Steps of the kept checkpoints among them; 0 for other versions.
  static std::vector<int64_t> Steps(const v1::ListVersionsResponse& response) {
    std::vector<int64_t> steps;
    for (const v1::AdapterVersion& version : response.versions())
      steps.push_back(version.checkpoint_step());
    return steps;
  }
  std::vector<v1::JobEvent> Events(const std::string& job) {
    grpc::ClientContext context;
    v1::ListJobEventsRequest request;
    request.set_name(job);
    v1::ListJobEventsResponse response;
    EXPECT_TRUE(jobs_->ListJobEvents(&context, request, &response).ok());
    return {response.events().begin(), response.events().end()};
  }
};

TEST_F(KeepCheckpointTest, ACheckpointIsAVersionAtOnceAndTheEventNamesIt) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job job = CreateKeeping(2);
  const pb::Lease lease = worker.AcquireOne();
  EXPECT_EQ(lease.kept_checkpoint_step(), 0);
  pb::KeepCheckpointRequest checkpoint = worker.Checkpoint(lease, 7, Hash('a'));
  v1::Evaluation& evaluation = *checkpoint.add_evaluations();
  evaluation.set_step(7);
  evaluation.set_split("validation");
  evaluation.set_loss(0.25);

  const grpc::Status kept = worker.Keep(checkpoint);

  ASSERT_TRUE(kept.ok()) << kept.error_message();
  const v1::CheckpointStored told = Events(job.name()).back().checkpoint();
  EXPECT_EQ(told.adapter_version(), "adapters/support/versions/1");
  EXPECT_EQ(told.sha256(), Hash('a'));
  EXPECT_EQ(told.step(), 7);
  EXPECT_EQ(told.evaluation().loss(), 0.25);
  const v1::AdapterVersion version = List().versions(0);
  EXPECT_EQ(version.checkpoint_step(), 7);
  EXPECT_EQ(version.kept_step(), 7);
  EXPECT_EQ(version.job(), job.name());
  EXPECT_EQ(version.description(), "a test's");
  EXPECT_EQ(version.method().lora().rank(), 2);
  EXPECT_EQ(version.evaluations(0).loss(), 0.25);
  EXPECT_EQ(Get(job.name()).state(), v1::RUNNING);
}

TEST_F(KeepCheckpointTest, ItAnswersAndAnAliasCanPointAtIt) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  worker.Hold({"tiny"});
  CreateKeeping(1);
  const pb::Lease lease = worker.AcquireOne();
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(lease, 7, Hash('a'))).ok());

  grpc::ClientContext promoting;
  v1::SetAliasRequest promote;
  promote.set_adapter("adapters/support");
  promote.set_version("1");
  v1::Adapter adapter;
  const grpc::Status set = adapters_->SetAlias(&promoting, promote, &adapter);
  ASSERT_TRUE(set.ok()) << set.error_message();
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(lease, 14, Hash('b'))).ok());
  grpc::ClientContext classifying;
  v1::ClassifyRequest classify;
  classify.set_adapter("support");
  classify.add_inputs()->set_text("good");
  v1::ClassifyResponse answer;
  const grpc::Status classified = inference_->Classify(&classifying, classify, &answer);

  ASSERT_TRUE(classified.ok()) << classified.error_message();
  EXPECT_EQ(answer.provenance().adapter_version_sha256(), Hash('a'));
  EXPECT_THAT(Steps(List()), ElementsAre(14, 7)) << "live points at the older one";
}

TEST_F(KeepCheckpointTest, AResumedAttemptHearsWhatIsKeptAndMakesNoneTwice) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job job = CreateKeeping(2);
  const pb::Lease first = worker.AcquireOne();
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(first, 7, Hash('a'))).ok());
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(first, 7, Hash('a'))).ok()) << "its answer was lost";
  boost::asio::post(runtime_.io(), [this] { housekeeping_->WorkerDied("w1"); });
  worker.Register();
  const pb::Lease second = worker.AcquireOne();
  EXPECT_EQ(second.kept_checkpoint_step(), 7);

  EXPECT_EQ(worker.Keep(worker.Checkpoint(first, 14, Hash('b'))).error_code(),
            grpc::StatusCode::ABORTED);
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(second, 7, Hash('c'))).ok());
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(second, 14, Hash('b'))).ok());

  EXPECT_THAT(Steps(List()), ElementsAre(14, 7));
  EXPECT_EQ(List().versions(1).sha256(), Hash('a'));
  int kept = 0;
  for (const v1::JobEvent& event : Events(job.name()))
    if (!event.checkpoint().adapter_version().empty()) ++kept;
  EXPECT_EQ(kept, 2);
}

TEST_F(KeepCheckpointTest, TheResultIsAnotherVersionAndAloneMadeLive) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job job = CreateKeeping(2, /*promote=*/true);
  const pb::Lease lease = worker.AcquireOne();
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(lease, 7, Hash('a'))).ok());
  ASSERT_TRUE(worker.Keep(worker.Checkpoint(lease, 14, Hash('b'))).ok());

  ASSERT_TRUE(worker.Succeed(lease, Hash('b')).ok());

  const v1::Job ended = Get(job.name());
  EXPECT_EQ(ended.adapter_version(), "adapters/support/versions/3");
  const v1::ListVersionsResponse versions = List();
  EXPECT_THAT(Steps(versions), ElementsAre(0, 14, 7));
  EXPECT_THAT(versions.versions(0).aliases(), ElementsAre("live"));
  grpc::ClientContext context;
  v1::DeleteJobRequest remove;
  remove.set_name(job.name());
  v1::DeleteJobResponse removed;
  ASSERT_TRUE(jobs_->DeleteJob(&context, remove, &removed).ok());
  EXPECT_THAT(Steps(List("job=" + job.name())), ElementsAre(0, 14, 7)) << "versions outlive it";
}

TEST_F(KeepCheckpointTest, TheyAreListedByTheirJob) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job other = MakeVersion(worker, 'e');
  const v1::Job job = CreateKeeping(3);
  const pb::Lease lease = worker.AcquireOne();
  for (const int64_t step : {7, 14, 21})
    ASSERT_TRUE(worker.Keep(worker.Checkpoint(lease, step, Hash('a'))).ok());
  const std::string filter = "job=" + job.name();

  const v1::ListVersionsResponse first = List(filter, "", 2);
  const v1::ListVersionsResponse second = List(filter, first.next_page_token(), 2);

  EXPECT_THAT(Steps(first), ElementsAre(21, 14));
  EXPECT_THAT(Steps(second), ElementsAre(7));
  EXPECT_EQ(second.next_page_token(), "");
  EXPECT_EQ(List("job=" + other.name()).versions_size(), 1);
  grpc::ClientContext context;
  v1::ListVersionsRequest wrong;
  wrong.set_adapter("adapters/support");
  wrong.set_filter("step=7");
  v1::ListVersionsResponse none;
  const grpc::Status refused = adapters_->ListVersions(&context, wrong, &none);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(refused), "filter");
}

TEST_F(KeepCheckpointTest, WhatIsNotStoredOrNotItsOwnIsRefused) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  CreateKeeping(1);
  const pb::Lease lease = worker.AcquireOne();
  const pb::KeepCheckpointRequest good = worker.Checkpoint(lease, 7, Hash('a'));
  const auto tell = [&](const pb::KeepCheckpointRequest& request) {
    grpc::ClientContext context;
    pb::KeepCheckpointResponse response;
    return worker.coordinator->KeepCheckpoint(&context, request, &response);
  };
  EXPECT_EQ(tell(good).error_code(), grpc::StatusCode::DATA_LOSS);
  pb::KeepCheckpointRequest bad = good;
  bad.set_step(0);
  EXPECT_EQ(FieldOf(tell(bad)), "step");
  bad = good;
  bad.set_artifact_prefix(objects::KeptPrefix("default", lease.job_id(), lease.token(), 8));
  EXPECT_EQ(FieldOf(tell(bad)), "artifact_prefix");
  bad = good;
  bad.set_version_sha256("none");
  EXPECT_EQ(FieldOf(tell(bad)), "artifact_prefix");
  bad = good;
  bad.clear_worker_id();
  EXPECT_EQ(FieldOf(tell(bad)), "worker_id");
  ASSERT_TRUE(worker.Complete(worker.Completion(lease, pb::CompleteLeaseRequest::FAILED)).ok());

  CreateKeeping(0);
  const pb::Lease none = worker.AcquireOne();
  const grpc::Status refused = worker.Keep(worker.Checkpoint(none, 7, Hash('a')));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("keeps no checkpoints"));
}

}  // namespace
}  // namespace graft::server::rpc
