#include <algorithm>

#include <google/protobuf/util/message_differencer.h>

#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using testing::ElementsAre;

class WatchTest : public ServerFixture {
 protected:
  std::vector<v1::JobEvent> Watch(const std::string& name, int64_t after, grpc::Status* status) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::WatchJobRequest request;
    request.set_name(name);
    request.set_after_event(after);
    auto reader = jobs_->WatchJob(&context, request);
    std::vector<v1::JobEvent> events;
    for (v1::JobEvent event; reader->Read(&event);) events.push_back(event);
    *status = reader->Finish();
    return events;
  }
  static std::vector<std::string> Reasons(const std::vector<v1::JobEvent>& events) {
    std::vector<std::string> reasons;
    for (const auto& event : events) {
      if (event.has_state_change()) reasons.push_back(event.state_change().reason());
    }
    return reasons;
  }
};

TEST_F(WatchTest, StreamFollowsTheJobToItsEndAndEndsOk) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  grpc::ClientContext context;
  v1::WatchJobRequest request;
  request.set_name(job.name());
  auto reader = jobs_->WatchJob(&context, request);
  v1::JobEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.state_change().to(), v1::VALIDATING);

  ASSERT_TRUE(worker.Succeed(worker.AcquireOne(), std::string(64, 'a')).ok());

  std::vector<v1::JobEvent> events = {event};
  while (reader->Read(&event)) events.push_back(event);
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(Reasons(events), ElementsAre("CREATED", "DATA_READY", "LEASED", "COMPLETED"));
  for (size_t i = 0; i < events.size(); ++i)
    EXPECT_EQ(events[i].number(), static_cast<int64_t>(i) + 1);
  EXPECT_EQ(events.back().state_change().to(), v1::SUCCEEDED);
}

TEST_F(WatchTest, ResumedWatchMissesAndRepeatsNothing) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job job = MakeVersion(worker, 'a');
  grpc::Status status;
  const auto all = Watch(job.name(), 0, &status);
  ASSERT_TRUE(status.ok());
  ASSERT_GE(all.size(), 4U);

  for (size_t seen = 0; seen <= all.size(); ++seen) {
    const auto rest = Watch(job.name(), static_cast<int64_t>(seen), &status);

    EXPECT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(rest.size(), all.size() - seen);
    for (size_t i = 0; i < rest.size(); ++i) {
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(rest[i], all[seen + i]));
    }
  }
}

TEST_F(WatchTest, PagesHaveEachEventOnceInBothOrders) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  const v1::Job job = MakeVersion(worker, 'a');
  grpc::Status status;
  const auto all = Watch(job.name(), 0, &status);
  ASSERT_GE(all.size(), 4U);
  for (const bool newest_first : {false, true}) {
    for (const int page_size : {1, 3, static_cast<int>(all.size()), 1000}) {
      std::vector<int64_t> numbers;
      v1::ListJobEventsRequest request;
      request.set_name(job.name());
      request.set_page_size(page_size);
      request.set_newest_first(newest_first);
      do {
        grpc::ClientContext context;
        v1::ListJobEventsResponse page;
        ASSERT_TRUE(jobs_->ListJobEvents(&context, request, &page).ok());
        EXPECT_LE(page.events_size(), page_size);
        EXPECT_EQ(page.total_size(), static_cast<int64_t>(all.size()));
        for (const v1::JobEvent& event : page.events()) numbers.push_back(event.number());
        request.set_page_token(page.next_page_token());
      } while (!request.page_token().empty());

      std::vector<int64_t> expected;
      for (const v1::JobEvent& event : all) expected.push_back(event.number());
      if (newest_first) std::ranges::reverse(expected);
      EXPECT_EQ(numbers, expected) << page_size << " a page";
    }
  }
}

TEST_F(WatchTest, AListOfEventsRefusesWhatIsntItsOwn) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const auto list = [&](const std::string& name, int page_size, const std::string& token) {
    v1::ListJobEventsRequest request;
    request.set_name(name);
    request.set_page_size(page_size);
    request.set_page_token(token);
    grpc::ClientContext context;
    v1::ListJobEventsResponse page;
    return jobs_->ListJobEvents(&context, request, &page).error_code();
  };

  EXPECT_EQ(list("jobs/nonesuch", 1, ""), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(list(job.name(), 1001, ""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(list(job.name(), 1, "2.abc"), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WatchTest, EventsThatDoNotExistAreOutOfRange) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  grpc::Status status;

  (void)Watch(job.name(), 1000, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  (void)Watch(job.name(), -1, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  (void)Watch("jobs/nonesuch", 0, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(WatchTest, DrainEndsTheStreamUnavailable) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  grpc::ClientContext context;
  v1::WatchJobRequest request;
  request.set_name(job.name());
  auto reader = jobs_->WatchJob(&context, request);
  v1::JobEvent event;
  ASSERT_TRUE(reader->Read(&event));

  Drain();

  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WatchTest, WorkersReportsArriveInOrder) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  pb::RenewLeasesRequest report;
  auto& status = *report.add_leases();
  status.set_tenant(lease.tenant());
  status.set_job_id(lease.job_id());
  status.set_token(lease.token());
  status.set_step(7);
  status.add_events()->mutable_progress()->set_step(7);
  status.mutable_events(0)->mutable_progress()->set_total_steps(10);
  status.add_events()->mutable_evaluation()->set_accuracy(0.5);
  status.add_events()->set_warning("a label is rare");
  pb::RenewLeasesResponse response;

  ASSERT_TRUE(worker.Renew(report, &response).ok());

  ASSERT_EQ(response.verdicts_size(), 1);
  EXPECT_FALSE(response.verdicts(0).lost());
  EXPECT_EQ(response.verdicts(0).desired(), v1::RUNNING);
  ASSERT_TRUE(worker.Succeed(lease, std::string(64, 'a')).ok());
  grpc::Status ended;
  const auto events = Watch(job.name(), 3, &ended);
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[0].progress().step(), 7);
  EXPECT_EQ(events[1].evaluation().accuracy(), 0.5);
  EXPECT_EQ(events[2].warning(), "a label is rare");
  EXPECT_TRUE(events[3].has_version_created());
  const v1::Job done = Get(job.name());
  EXPECT_EQ(done.progress().step(), 7);
  EXPECT_EQ(done.evaluations_size(), 1);
}

}  // namespace
}  // namespace graft::server::rpc
