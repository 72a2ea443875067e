#include "server/background/collector.h"
#include "common/base/sha256.h"
#include "common/objects/keys.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <thread>

#include "server/core/leases.h"
#include "server/core/registry.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using testing::UnorderedElementsAre;

/// Counts the reads of another store, and lets a test act before the n-th.
class WatchedStore : public core::Store {
 public:
  explicit WatchedStore(core::Store& store) : store_(store) {}
  void Write(Work work, Done done) override { store_.Write(std::move(work), std::move(done)); }
  void Read(Work work, Done done) override {
    if (++reads == act_before && act) act();
    store_.Read(std::move(work), std::move(done));
  }
  void OnJobsChanged(std::function<void(const std::vector<core::JobKey>&)>) override {}
  int reads = 0;
  int act_before = 1;
  std::function<void()> act;  ///< On the io thread.

 private:
  core::Store& store_;
};

class CollectorTest : public ServerFixture {
 protected:
  void Collect(TimeUs now = SystemClock().Now()) { CollectIn(store_, now); }
  void CollectIn(core::Store& store, TimeUs now = SystemClock().Now()) {
    background::Backend backend{runtime_,  probe_,  store,     objects_, changes_,
                                *workers_, *bases_, *sources_, *intake_, limits_};
    StatusOr<int64_t> removed = InternalError("not run");
    // co_spawn wants a result with a default.
    auto collect = [&backend, now, &removed]() -> calls::Awaitable<void> {
      removed = co_await background::CollectOrphans(backend, "default", now);
    };
    boost::asio::co_spawn(runtime_.io(), collect(), boost::asio::use_future).get();
    ASSERT_TRUE(removed.ok()) << removed.status();
  }
  std::vector<std::string> Attempts() {
    auto keys = objects_.List("tenants/default/attempts/", "", 1000);
    EXPECT_TRUE(keys.ok());
    return *keys;
  }
  void Put(const std::string& key) { ASSERT_TRUE(objects_.Put(key, "x").ok()); }
};

TEST_F(CollectorTest, VersionsStayAndTheRestOfAnEndedJobGoes) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job job = MakeVersion(worker, 'a');
  const std::string id = job.name().substr(5);
  Put(objects::CheckpointKey("default", id, 1, 5));
  Put(objects::AttemptPrefix("default", id, 0) + "artifact/half.safetensors");
  Put(objects::AttemptPrefix("default", "nosuchjob", 3) + "checkpoints/1");

  Collect();

  const auto left = Attempts();
  EXPECT_EQ(left.size(), 2U) << "the two files of the version";
  for (const std::string& key : left) EXPECT_NE(key.find("/artifact/"), std::string::npos) << key;
}

TEST_F(CollectorTest, RunningAttemptAndTheCheckpointToResumeFromStay) {
  FakeWorker first(socket_, "w1", {"tiny"});
  first.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease old = first.AcquireOne();
  const std::string checkpoint = objects::CheckpointKey("default", old.job_id(), old.token(), 5);
  const std::string older = objects::CheckpointKey("default", old.job_id(), old.token(), 3);
  ASSERT_TRUE(first.Put(checkpoint, "x").ok());
  ASSERT_TRUE(first.Put(older, "x").ok());
  auto release = first.Completion(old, pb::CompleteLeaseRequest::RELEASED);
  release.mutable_lease()->set_checkpoint_key(checkpoint);
  release.mutable_lease()->set_checkpoint_sha256(Sha256Hex("x"));
  release.mutable_lease()->set_checkpoint_step(5);
  ASSERT_TRUE(first.Complete(release).ok());
  const pb::Lease current = first.AcquireOne();
  EXPECT_EQ(current.checkpoint_key(), checkpoint);
  const std::string growing =
      objects::AttemptPrefix("default", current.job_id(), current.token()) + "artifact/x";
  ASSERT_TRUE(first.Put(growing, "x").ok());

  Collect();

  EXPECT_THAT(Attempts(), UnorderedElementsAre(checkpoint, growing));
}

TEST_F(CollectorTest, ReplacedCheckpointsOfARunningAttemptGo) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  const auto key = [&](int64_t step) {
    return objects::CheckpointKey("default", lease.job_id(), lease.token(), step);
  };
  for (const int64_t step : {3, 5, 9}) ASSERT_TRUE(worker.Put(key(step), "x").ok());
  const auto report = [&](int64_t step) {
    pb::RenewLeasesRequest renew;
    *renew.add_leases() = worker.Completion(lease, pb::CompleteLeaseRequest::PAUSED).lease();
    renew.mutable_leases(0)->set_checkpoint_key(key(step));
    renew.mutable_leases(0)->set_checkpoint_sha256(Sha256Hex("x"));
    renew.mutable_leases(0)->set_checkpoint_step(step);
    pb::RenewLeasesResponse response;
    ASSERT_TRUE(worker.Renew(renew, &response).ok());
  };

  report(5);
  EXPECT_THAT(Attempts(), UnorderedElementsAre(key(3), key(5), key(9)));
  Collect();
  EXPECT_THAT(Attempts(), UnorderedElementsAre(key(5), key(9)));
  report(9);
  while (Attempts().size() > 1) std::this_thread::yield();  // The renewal itself removes it.
  EXPECT_THAT(Attempts(), UnorderedElementsAre(key(9)));
}

TEST_F(CollectorTest, VersionThatAJobWillContinueStaysThoughItWasDeleted) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  MakeVersion(worker, 'a');
  v1::JobSpec spec = Spec();
  spec.set_init_from("support@1");
  v1::Job next;
  const grpc::Status created = Create(spec, &next);
  ASSERT_TRUE(created.ok()) << created.error_message();
  WaitFor(next.name(), v1::QUEUED);
  grpc::ClientContext context;
  v1::DeleteVersionRequest remove;
  remove.set_name("adapters/support/versions/1");
  v1::DeleteVersionResponse removed;
  ASSERT_TRUE(adapters_->DeleteVersion(&context, remove, &removed).ok());

  Collect();
  EXPECT_EQ(Attempts().size(), 2U) << "the two files of the version";
  ASSERT_TRUE(worker.Succeed(worker.AcquireOne(), std::string(64, 'b')).ok());
  Collect();
  for (const std::string& key : Attempts())
    EXPECT_NE(key.find(next.name().substr(5)), std::string::npos);
}

TEST_F(CollectorTest, KeptCheckpointsStayAndWhatIsNotKeptAnyMoreGoes) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::JobSpec spec = Spec();
  spec.mutable_hyperparameters()->set_keep_checkpoints(1);
  v1::Job job;
  ASSERT_TRUE(Create(spec, &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  const auto keep = [&](int64_t step, char digit) {
    return worker.Keep(worker.Checkpoint(lease, step, std::string(64, digit)));
  };
  const auto file = [&](int64_t step) {
    return objects::KeptPrefix("default", lease.job_id(), lease.token(), step) + "graft.json";
  };
  const auto left = [&] {
    std::vector<int64_t> steps;
    for (const int64_t step : {10, 20, 30})
      if (objects_.Stat(file(step)).ok()) steps.push_back(step);
    return steps;
  };
  ASSERT_TRUE(keep(10, 'a').ok());
  v1::JobSpec next = Spec();
  next.set_init_from("support@1");
  v1::Job continued;
  ASSERT_TRUE(Create(next, &continued).ok());
  WaitFor(continued.name(), v1::QUEUED);
  ASSERT_TRUE(keep(20, 'b').ok());
  ASSERT_TRUE(worker.Put(file(30), "{}").ok());

  Collect();
  EXPECT_THAT(left(), testing::ElementsAre(10, 20, 30))
      << "a job reads the first, the second is a version, the third may become one";
  grpc::ClientContext context;
  v1::CancelJobRequest cancel;
  cancel.set_name(continued.name());
  ASSERT_TRUE(jobs_->CancelJob(&context, cancel, &continued).ok());
  Collect();
  EXPECT_THAT(left(), testing::ElementsAre(20, 30));
  ASSERT_TRUE(worker.Complete(worker.Completion(lease, pb::CompleteLeaseRequest::FAILED)).ok());
  Collect();
  EXPECT_THAT(left(), testing::ElementsAre(20));
}

TEST_F(CollectorTest, FreshImportStaysAndAnOldOneGoes) {
  const std::string fresh = objects::ImportPrefix("default", NewId(SystemClock().Now())) + "x";
  const std::string old = objects::ImportPrefix("default", NewId(1'600'000'000'000'000)) + "x";
  Put(fresh);
  Put(old);

  Collect();

  EXPECT_TRUE(objects_.Stat(fresh).ok());
  EXPECT_FALSE(objects_.Stat(old).ok());
}

TEST_F(CollectorTest, DataSetThatNoUnfinishedJobUsesGoesAfterADay) {
  constexpr TimeUs kHour = TimeUs{3600} * 1'000'000;
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  WaitFor(job.name(), v1::QUEUED);
  const std::string unused = objects::DatasetKey("default", std::string(64, 'f'));
  Put(unused);
  const auto left = [&] {
    const auto keys = objects_.List(objects::DatasetsPrefix("default"), "", 10);
    EXPECT_TRUE(keys.ok());
    return keys->size();
  };
  ASSERT_EQ(left(), 2U);
  const TimeUs now = SystemClock().Now();

  Collect(now + 23 * kHour);
  EXPECT_EQ(left(), 2U) << "somebody may be about to use it";
  Collect(now + 25 * kHour);
  EXPECT_EQ(left(), 1U) << "the one of the job stays";
  EXPECT_FALSE(objects_.Stat(unused).ok());
  ASSERT_TRUE(worker.Succeed(worker.AcquireOne(), std::string(64, 'b')).ok());
  Collect(now + 25 * kHour);
  EXPECT_EQ(left(), 0U);
}

TEST_F(CollectorTest, DataSetThatIsPutAgainMeanwhileStays) {
  constexpr TimeUs kDay = TimeUs{24 * 3600} * 1'000'000;
  const std::string key = objects::DatasetKey("default", std::string(64, 'f'));
  const std::string other = objects::DatasetKey("default", std::string(64, 'e'));
  Put(key);
  Put(other);
  const TimeUs listed_at = SystemClock().Now() + 2 * kDay;
  WatchedStore store(store_);
  store.act = [&] {
    // As a job does whose validation finds it old.
    const TimeUs before = objects_.Stat(key)->written;
    do {
      Put(key);
    } while (objects_.Stat(key)->written == before);
  };

  CollectIn(store, listed_at);

  EXPECT_TRUE(objects_.Stat(key).ok());
  EXPECT_FALSE(objects_.Stat(other).ok());
}

TEST_F(CollectorTest, RowsAreReadInManySmallTransactions) {
  housekeeping_->Stop();  // It collects too.
  for (int i = 0; i < 450; ++i) {
    const std::string job = "gone" + std::to_string(i);
    Put(objects::AttemptPrefix("default", job, 1) + "artifact/x");
  }
  ASSERT_TRUE(store_
                  .WriteNow([](core::Transaction& tx) -> Status {
                    for (int i = 0; i < 450; ++i) {
                      core::Version version;
                      version.tenant = "default";
                      version.adapter = i < 230 ? "a" : "b" + std::to_string(i);
                      version.base = "tiny";
                      version.artifact_prefix =
                          objects::ArtifactPrefix("default", "gone" + std::to_string(i), 1);
                      if (i % 10 == 0) continue;
                      GRAFT_RETURN_IF_ERROR(core::AddVersion(tx, version, false).status());
                    }
                    return OkStatus();
                  })
                  .ok());
  WatchedStore store(store_);

  CollectIn(store);

  EXPECT_EQ(Attempts().size(), 405U) << "those with a version stay";
  EXPECT_GE(store.reads, 3 + 3 + 1);
}

TEST_F(CollectorTest, JobThatSucceedsWhileRowsAreReadKeepsItsVersion) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  for (const int read : {1, 2}) {  // Of its row, and of the versions.
    v1::Job job;
    ASSERT_TRUE(Create(Spec(), &job).ok());
    const pb::Lease lease = worker.AcquireOne();
    core::Completion success;
    success.report.key = {"default", lease.job_id()};
    success.report.token = lease.token();
    success.outcome = core::Outcome::kSucceeded;
    success.version.sha256 = std::string(64, 'a');
    success.version.artifact_prefix =
        objects::ArtifactPrefix("default", lease.job_id(), lease.token());
    const std::string manifest = success.version.artifact_prefix + "graft.json";
    ASSERT_TRUE(worker.Put(manifest, "{}").ok());
    WatchedStore store(store_);
    store.act_before = read;
    store.act = [&] {
      const auto succeed = [&](core::Transaction& tx) {
        return core::CompleteLease(tx, success, {}).status();
      };
      EXPECT_TRUE(store_.WriteNow(succeed).ok());
    };

    CollectIn(store);

    EXPECT_EQ(Get(job.name()).state(), v1::SUCCEEDED) << read;
    EXPECT_TRUE(objects_.Stat(manifest).ok()) << read;
  }
}

TEST(AttemptKeyTest, TellsJobAndToken) {
  const auto object =
      background::ParseAttemptKey("t", "tenants/t/attempts/job1/17/artifact/a.json");
  ASSERT_TRUE(object.ok());
  EXPECT_EQ(object->job, "job1");
  EXPECT_EQ(object->token, 17);
  EXPECT_TRUE(object->is_artifact);
  EXPECT_EQ(object->checkpoint_step, -1);
  EXPECT_EQ(background::ParseAttemptKey("t", "tenants/t/attempts/job1/17/checkpoints/40")
                ->checkpoint_step,
            40);
  const auto kept = background::ParseAttemptKey("t", "tenants/t/attempts/job1/17/kept/9/a.json");
  EXPECT_EQ(kept->kept_step, 9);
  EXPECT_TRUE(kept->is_artifact);
  EXPECT_EQ(kept->checkpoint_step, -1);
  for (const char* key :
       {"tenants/t/attempts/job1", "tenants/t/attempts/job1/17", "tenants/t/attempts/job1/x/a",
        "tenants/t/datasets/x/1/y", "tenants/u/attempts/job1/17/a", "tenants/t/attempts//1/a"}) {
    EXPECT_FALSE(background::ParseAttemptKey("t", key).ok()) << key;
  }
}

}  // namespace
}  // namespace graft::server::rpc
