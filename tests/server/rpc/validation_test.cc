// Validation and estimates know the machine that a job would run on.

#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

class ValidationTest : public ServerFixture {
 protected:
  v1::JobFacts Estimate(v1::Precision precision) {
    grpc::ClientContext context;
    v1::EstimateJobRequest request;
    *request.mutable_spec() = Spec();
    request.mutable_spec()->mutable_hyperparameters()->set_precision(precision);
    v1::EstimateJobResponse response;
    const grpc::Status status = jobs_->EstimateJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.facts();
  }
};

TEST_F(ValidationTest, MemoryGoesByThePrecisionThatTheJobWouldUse) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.fast_bf16 = true;
  worker.Register();
  const int64_t parameters = Estimate(v1::FP32).base_parameters();

  EXPECT_GE(Estimate(v1::FP32).peak_memory_bytes() - Estimate(v1::BF16).peak_memory_bytes(),
            2 * parameters);
  EXPECT_EQ(Estimate(v1::PRECISION_UNSPECIFIED).peak_memory_bytes(),
            Estimate(v1::BF16).peak_memory_bytes());

  worker.fast_bf16 = false;
  worker.Register();
  EXPECT_GE(Estimate(v1::FP32).peak_memory_bytes() - Estimate(v1::BF16).peak_memory_bytes(),
            2 * parameters);
  EXPECT_EQ(Estimate(v1::PRECISION_UNSPECIFIED).peak_memory_bytes(),
            Estimate(v1::FP32).peak_memory_bytes());
}

TEST_F(ValidationTest, AJobIsRefusedForItsSizeOnlyIfNoWorkerCouldHoldIt) {
  FakeWorker fp32(socket_, "w1", {"tiny"});
  fp32.Register();
  const int64_t in_fp32 = Estimate(v1::FP32).peak_memory_bytes();
  const int64_t in_bf16 = Estimate(v1::BF16).peak_memory_bytes();
  ASSERT_GT(in_fp32, in_bf16 + 2);
  fp32.memory_bytes = in_bf16 + 1;
  fp32.Register();
  FakeWorker bf16(socket_, "w2", {"tiny"});
  bf16.fast_bf16 = true;
  bf16.memory_bytes = in_bf16;
  bf16.Register();

  EXPECT_EQ(Estimate(v1::PRECISION_UNSPECIFIED).peak_memory_bytes(), in_bf16);
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);
}

class FirstWorkerTest : public ValidationTest {
 protected:
  void Configure() override {
    expecting_ = true;
    hub_options_.wait_for_worker = std::chrono::hours(1);
  }
  /// True if no event comes behind the job's first.
  bool StaysValidating(const std::string& name) {
    grpc::ClientContext context;
    context.set_deadline(system_clock::now() + milliseconds(300));
    v1::WatchJobRequest request;
    request.set_name(name);
    request.set_after_event(1);
    v1::JobEvent event;
    auto reader = jobs_->WatchJob(&context, request);
    const bool stays = !reader->Read(&event);
    (void)reader->Finish();
    return stays && Get(name).state() == v1::VALIDATING;
  }
};

TEST_F(FirstWorkerTest, JobIsValidatedOnceTheFirstWorkerIsKnown) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  EXPECT_TRUE(StaysValidating(job.name()));

  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();

  EXPECT_GT(WaitFor(job.name(), v1::QUEUED).facts().seconds(), 0);
}

TEST_F(FirstWorkerTest, JobThatDoesNotFitIntoTheFirstWorkerFails) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());

  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.memory_bytes = 1 << 10;
  worker.Register();

  const v1::Job failed = WaitFor(job.name(), v1::FAILED);
  EXPECT_EQ(failed.error().details(0).reason(), "DOES_NOT_FIT");
}

TEST_F(FirstWorkerTest, JobIsValidatedOnceNoneIsExpectedAnyMore) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());

  OnIo([this] { workers_->set_expecting(false); });

  EXPECT_EQ(WaitFor(job.name(), v1::QUEUED).facts().seconds(), 0);
}

class NoWorkerInTimeTest : public FirstWorkerTest {
  void Configure() override {
    expecting_ = true;
    hub_options_.wait_for_worker = milliseconds(50);
  }
};

TEST_F(NoWorkerInTimeTest, WaitForTheFirstWorkerEnds) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());

  (void)WaitFor(job.name(), v1::QUEUED);
}

}  // namespace
}  // namespace graft::server::rpc
