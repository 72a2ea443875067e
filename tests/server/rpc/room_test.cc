// Which jobs go to a worker that tells of its memory, over the protocol, and what becomes of those
// that don't fit.

#include <functional>
#include <list>
#include <map>
#include <thread>
#include <utility>

#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using std::chrono::milliseconds;

class RoomTest : public ServerFixture {
 protected:
  void Configure() override {
    // Work must come by the wake-up, not by looking again.
    limits_.poll = std::chrono::hours(1);
  }
  /// A job that waits for a worker and needs so much.
  v1::Job QueuedNeeding(int64_t bytes) {
    v1::Job job;
    const grpc::Status created = Create(Spec(), &job);
    EXPECT_TRUE(created.ok()) << created.error_message();
    (void)WaitFor(job.name(), v1::QUEUED);
    const Status set = store_.WriteNow([&](core::Transaction& tx) -> Status {
      GRAFT_ASSIGN_OR_RETURN(core::Job row, tx.GetJob({"default", job.name().substr(5)}));
      row.facts.peak_memory_bytes = bytes;
      row.facts.base_parameters = 0;
      row.facts.fp32_memory = row.facts.bf16_memory = {};
      return tx.PutJob(row, {});
    });
    EXPECT_TRUE(set.ok()) << set;
    return job;
  }
};

/// Says that so much is free for jobs.
void TellFree(FakeWorker& worker, int64_t bytes) {
  pb::RenewLeasesRequest request;
  request.mutable_memory()->set_free_bytes(bytes);
  pb::RenewLeasesResponse response;
  ASSERT_TRUE(worker.Renew(request, &response).ok());
}

TEST_F(RoomTest, AJobWaitsForAWorkerThatHasRoomForIt) {
  FakeWorker full(socket_, "w1", {"tiny"});
  full.Register();
  FakeWorker roomy(socket_, "w2", {"tiny"});
  roomy.Register();
  TellFree(full, 1000);
  TellFree(roomy, roomy.memory_bytes);
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);

  pb::AcquireLeasesResponse none;
  ASSERT_TRUE(full.Acquire(0, &none).ok());

  EXPECT_EQ(none.leases_size(), 0);
  EXPECT_EQ(roomy.AcquireOne().attempt(), 1);
}

TEST_F(RoomTest, AWorkersPollsGoOnThroughAQueueOfJobsThatDontFitIt) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job small = QueuedNeeding(1000);
  const Status queued = store_.WriteNow([&](core::Transaction& tx) -> Status {
    GRAFT_ASSIGN_OR_RETURN(core::Job row, tx.GetJob({"default", small.name().substr(5)}));
    row.request_id.clear();
    row.priority = 1;
    row.facts.peak_memory_bytes = worker.memory_bytes + 1;
    for (int i = 0; i < 1000; ++i) {
      row.key.id = "large-" + std::to_string(i);
      row.revision = 0;
      row.num_events = 0;
      GRAFT_RETURN_IF_ERROR(tx.PutJob(row, {}));
    }
    return OkStatus();
  });
  ASSERT_TRUE(queued.ok()) << queued;
  TellFree(worker, 2000);

  std::vector<std::string> leased;
  for (int i = 0; i < 10 && leased.empty(); ++i) {
    pb::AcquireLeasesResponse granted;
    ASSERT_TRUE(worker.Acquire(0, &granted).ok());
    for (const pb::Lease& lease : granted.leases()) leased.push_back("jobs/" + lease.job_id());
  }

  EXPECT_EQ(leased, std::vector{small.name()});
}

class FastPollTest : public ServerFixture {
  void Configure() override { limits_.poll = milliseconds(20); }
};

TEST_F(FastPollTest, RoomThatAHeartbeatTellsOfReachesThePollThatWaits) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  TellFree(worker, 1000);
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);
  std::thread later([&] { TellFree(worker, worker.memory_bytes); });

  const pb::Lease lease = worker.AcquireOne();

  later.join();
  EXPECT_EQ(lease.attempt(), 1);
}

/// Hands the lease back for lack of memory; `needs`: what the job needs.
grpc::Status HandBack(FakeWorker& worker, const pb::Lease& lease, int64_t needs) {
  pb::CompleteLeaseRequest end = worker.Completion(lease, pb::CompleteLeaseRequest::RELEASED);
  end.mutable_error()->set_code(static_cast<int>(StatusCode::kResourceExhausted));
  end.mutable_error()->set_message("training needs more");
  end.mutable_facts()->set_peak_memory_bytes(needs);
  return worker.Complete(end);
}

TEST_F(RoomTest, AJobThatIsHandedBackForMemoryWaitsAndOneThatFitsNowhereFails) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());

  ASSERT_TRUE(HandBack(worker, worker.AcquireOne(), worker.memory_bytes).ok());
  EXPECT_EQ(Get(job.name()).state(), v1::QUEUED);
  EXPECT_EQ(Get(job.name()).attempts(0).end_reason(), "NO_ROOM");
  ASSERT_TRUE(HandBack(worker, worker.AcquireOne(), worker.memory_bytes + 1).ok());

  EXPECT_EQ(Get(job.name()).state(), v1::FAILED);
  EXPECT_EQ(Get(job.name()).error().message(), "training needs more");
}

TEST_F(RoomTest, OnlyAWorkerThatHasTheBaseIsLargeEnoughForAJob) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  FakeWorker other(socket_, "w2", {"other"});
  other.memory_bytes = 2 * worker.memory_bytes;
  other.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());

  ASSERT_TRUE(HandBack(worker, worker.AcquireOne(), worker.memory_bytes + 1).ok());

  EXPECT_EQ(Get(job.name()).state(), v1::FAILED);
}

TEST_F(RoomTest, NoJobFailsForItsSizeWhileALargeEnoughWorkerDrains) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  FakeWorker leaving(socket_, "w2", {"tiny"});
  leaving.memory_bytes = 2 * worker.memory_bytes;
  leaving.Register();
  pb::RenewLeasesRequest drains;
  drains.set_draining(true);
  pb::RenewLeasesResponse response;
  ASSERT_TRUE(leaving.Renew(drains, &response).ok());
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();

  ASSERT_TRUE(HandBack(worker, lease, worker.memory_bytes + 1).ok());

  EXPECT_EQ(Get(job.name()).state(), v1::QUEUED);
}

/// As an engine of 8 bytes and two slots does: a job has its memory once its data are read, which
/// takes the longer the larger it is, and is handed back if there is none.
class TwoSlots {
 public:
  TwoSlots(FakeWorker& worker, std::function<int64_t(const std::string&)> need)
      : worker_(worker), need_(std::move(need)) {}

  /// Polls as long as it has a slot and gets something.
  void Poll() {
    while (loading_.size() + running_.size() < 2) {
      TellFree(worker_, free());
      pb::AcquireLeasesResponse granted;
      ASSERT_TRUE(worker_.Acquire(0, &granted).ok());
      if (granted.leases_size() == 0) return;
      loading_.push_back(granted.leases(0));
    }
  }
  /// What was granted gets its memory or goes back, the smallest first.
  void Load() {
    loading_.sort([&](const auto& a, const auto& b) { return need(a) < need(b); });
    for (const pb::Lease& lease : std::exchange(loading_, {})) {
      if (need(lease) > free()) {
        ASSERT_TRUE(HandBack(worker_, lease, need(lease)).ok());
        continue;
      }
      running_.push_back(lease);
      pb::RenewLeasesRequest request;
      *request.add_leases() = worker_.Completion(lease, pb::CompleteLeaseRequest::FAILED).lease();
      request.mutable_leases(0)->set_resolved_precision("fp32");
      request.mutable_memory()->set_free_bytes(free());
      pb::RenewLeasesResponse response;
      ASSERT_TRUE(worker_.Renew(request, &response).ok());
    }
  }
  void EndOldest() {
    if (running_.empty()) return;
    const pb::Lease lease = running_.front();
    running_.pop_front();
    pb::CompleteLeaseRequest end = worker_.Completion(lease, pb::CompleteLeaseRequest::FAILED);
    end.mutable_error()->set_code(static_cast<int>(StatusCode::kInternal));
    end.mutable_memory()->set_free_bytes(free());
    ASSERT_TRUE(worker_.Complete(end).ok());
  }
  int64_t free() const {
    int64_t free = 8;
    for (const pb::Lease& lease : running_) free -= need(lease);
    return free;
  }

 private:
  int64_t need(const pb::Lease& lease) const { return need_("jobs/" + lease.job_id()); }

  FakeWorker& worker_;
  const std::function<int64_t(const std::string&)> need_;
  std::list<pb::Lease> loading_, running_;
};

TEST_F(RoomTest, AStreamOfSmallJobsPutsOffALargeOneOnlyUntilThoseThatRunHaveEnded) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  TellFree(worker, 0);
  std::map<std::string, int64_t> needs;
  const auto queue = [&](int64_t need) {
    const std::string name = QueuedNeeding(need).name();
    needs[name] = need;
    return name;
  };
  TwoSlots engine(worker, [&](const std::string& name) { return needs.at(name); });
  queue(3);
  queue(3);
  engine.Poll();
  engine.Load();
  ASSERT_EQ(engine.free(), 2);
  const std::string large = queue(7);

  int rounds = 0;
  for (; Get(large).state() != v1::RUNNING && rounds < 8; ++rounds) {
    queue(3);
    engine.EndOldest();
    ASSERT_NO_FATAL_FAILURE(engine.Poll());
    ASSERT_NO_FATAL_FAILURE(engine.Load());
  }

  EXPECT_LE(rounds, 2) << "both that ran must end";
  EXPECT_EQ(Get(large).attempts_size(), 1) << "it is granted when it has room";
}

TEST_F(RoomTest, WhatWasGrantedIsNotFreeThoughTheWorkerDoesNotKnowYet) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  TellFree(worker, 0);
  QueuedNeeding(5);
  QueuedNeeding(5);
  TellFree(worker, 8);
  const pb::Lease first = worker.AcquireOne();

  pb::AcquireLeasesResponse none;
  ASSERT_TRUE(worker.Acquire(0, &none).ok());
  EXPECT_EQ(none.leases_size(), 0) << "the same bytes are given once";

  pb::CompleteLeaseRequest end = worker.Completion(first, pb::CompleteLeaseRequest::FAILED);
  end.mutable_memory()->set_free_bytes(8);
  ASSERT_TRUE(worker.Complete(end).ok());
  EXPECT_EQ(worker.AcquireOne().attempt(), 1);
}

TEST_F(RoomTest, AnEndMakesRoomAtOnceForTheJobThatIsNext) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  TellFree(worker, 0);
  QueuedNeeding(3);
  TellFree(worker, 8);
  const pb::Lease running = worker.AcquireOne();
  TellFree(worker, 5);
  const v1::Job large = QueuedNeeding(8);
  QueuedNeeding(3);
  pb::Lease next;
  std::thread poll([&] { next = worker.AcquireOne(); });

  pb::CompleteLeaseRequest end = worker.Completion(running, pb::CompleteLeaseRequest::FAILED);
  end.mutable_memory()->set_free_bytes(8);
  ASSERT_TRUE(worker.Complete(end).ok());
  poll.join();

  EXPECT_EQ("jobs/" + next.job_id(), large.name());
}

TEST_F(RoomTest, FiguresThatArriveLateChangeNothing) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const auto tell = [&](int64_t number, int64_t free) {
    pb::RenewLeasesRequest request;
    request.mutable_memory()->set_number(number);
    request.mutable_memory()->set_free_bytes(free);
    pb::RenewLeasesResponse response;
    ASSERT_TRUE(worker.Renew(request, &response).ok());
  };
  tell(2, 0);
  QueuedNeeding(5);
  tell(1, 8);
  pb::AcquireLeasesResponse none;
  ASSERT_TRUE(worker.Acquire(0, &none).ok());
  EXPECT_EQ(none.leases_size(), 0);

  worker.Register();
  tell(1, 8);

  EXPECT_EQ(worker.AcquireOne().attempt(), 1) << "whoever registers begins anew";
}

}  // namespace
}  // namespace graft::server::rpc
