#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class ChangeJobTest : public ServerFixture {
 protected:
  template <typename Request, typename Method>
  grpc::Status Ask(Method method, const std::string& name, v1::Job* job) {
    grpc::ClientContext context;
    Request request;
    request.set_name(name);
    return (jobs_.get()->*method)(&context, request, job);
  }
  grpc::Status Pause(const std::string& name, v1::Job* job) {
    return Ask<v1::PauseJobRequest>(&v1::FinetuningService::Stub::PauseJob, name, job);
  }
  grpc::Status Resume(const std::string& name, v1::Job* job) {
    return Ask<v1::ResumeJobRequest>(&v1::FinetuningService::Stub::ResumeJob, name, job);
  }
  grpc::Status Cancel(const std::string& name, v1::Job* job) {
    return Ask<v1::CancelJobRequest>(&v1::FinetuningService::Stub::CancelJob, name, job);
  }
  std::string QueuedJob() {
    v1::Job job;
    EXPECT_TRUE(Create(Spec(), &job).ok());
    WaitFor(job.name(), v1::QUEUED);
    return job.name();
  }
};

TEST_F(ChangeJobTest, EveryMoveIsCountedOnceAndRepeatsChangeNothing) {
  const std::string name = QueuedJob();
  probe_.Take();
  v1::Job job;

  EXPECT_TRUE(Pause(name, &job).ok());
  EXPECT_EQ(job.state(), v1::PAUSED);
  EXPECT_TRUE(Pause(name, &job).ok());
  EXPECT_THAT(probe_.Take(), ElementsAre(Pair(core::JobState::kPaused, "PAUSED_BY_USER")));

  EXPECT_TRUE(Resume(name, &job).ok());
  EXPECT_EQ(job.state(), v1::QUEUED);
  EXPECT_EQ(Resume(name, &job).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(probe_.Take(), ElementsAre(Pair(core::JobState::kQueued, "RESUMED_BY_USER")));

  EXPECT_TRUE(Cancel(name, &job).ok());
  EXPECT_EQ(job.state(), v1::CANCELLED);
  EXPECT_TRUE(Cancel(name, &job).ok());
  EXPECT_EQ(Pause(name, &job).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(probe_.Take(), ElementsAre(Pair(core::JobState::kCancelled, "CANCELLED_BY_USER")));
}

TEST_F(ChangeJobTest, UnknownJobIsNotFound) {
  v1::Job job;
  const std::string name = "jobs/nonesuch";

  EXPECT_EQ(Pause(name, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Resume(name, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Cancel(name, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(probe_.Take(), IsEmpty());
}

}  // namespace
}  // namespace graft::server::rpc
