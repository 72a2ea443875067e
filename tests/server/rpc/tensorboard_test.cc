#include "server/background/tensorboard.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include "server/tensorboard/record.h"
#include "server/tensorboard/scalars.h"
#include "server_fixture.h"
#include "tests/support/full_disk.h"

namespace graft::server::rpc {
namespace {

using std::chrono::milliseconds;

/// Counts what the writer warns of.
class Warnings : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::atomic<int> count{0};

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    if (text.starts_with("cannot write for TensorBoard")) ++count;
  }
  void flush_() override {}
};

class TensorBoardTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    worker_.emplace(socket_, "w1", std::vector<std::string>{"tiny"});
    worker_->Register();
  }
  void TearDown() override {
    writer_.reset();
    ServerFixture::TearDown();
  }
  void StartWriter() {
    background::TensorBoard::Options options;
    options.folder = folder_->path() / "tensorboard";
    options.every = options.retry = milliseconds(2);
    writer_ = std::make_unique<background::TensorBoard>(*backend_, options);
    writer_->Start();
  }
  pb::Lease StartJob() {
    EXPECT_TRUE(Create(Spec(), &job_).ok());
    return worker_->AcquireOne();
  }
  /// One report of progress, and of an evaluation.
  void Report(const pb::Lease& lease, int64_t step) {
    pb::RenewLeasesRequest report;
    auto& status = *report.add_leases();
    status.set_tenant(lease.tenant());
    status.set_job_id(lease.job_id());
    status.set_token(lease.token());
    status.set_step(step);
    auto& progress = *status.add_events()->mutable_progress();
    progress.set_step(step);
    progress.set_total_steps(100);
    progress.set_loss(1.0 / static_cast<double>(step));
    auto& evaluation = *status.add_events()->mutable_evaluation();
    evaluation.set_step(step);
    evaluation.set_split("validation");
    (*evaluation.mutable_metrics())["accuracy"] = 0.5;
    pb::RenewLeasesResponse response;
    ASSERT_TRUE(worker_->Renew(report, &response).ok());
  }
  /// What the job's file must be by the stored events.
  std::pair<std::filesystem::path, std::string> Wanted() {
    std::pair<std::filesystem::path, std::string> wanted;
    const core::JobKey key{"default", job_.name().substr(5)};
    const Status read = store_.ReadNow([&](core::Transaction& tx) -> Status {
      GRAFT_ASSIGN_OR_RETURN(const core::Job job, tx.GetJob(key));
      GRAFT_ASSIGN_OR_RETURN(const auto events, tx.ListEvents(key, 0, 1000));
      wanted.first = tensorboard::FileOf(folder_->path() / "tensorboard", job);
      wanted.second =
          tensorboard::Framed(tensorboard::EncodeVersion(tensorboard::WallTime(job.create_time)));
      for (const core::JobEvent& event : events) {
        if (const auto shown = tensorboard::ScalarsOf(event))
          wanted.second += tensorboard::Framed(tensorboard::Encode(*shown));
      }
      if (core::IsTerminal(job.state))
        wanted.second += tensorboard::Framed(tensorboard::Encode(tensorboard::EndOf(job)));
      return OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return wanted;
  }
  void ExpectFileIsWhole() {
    const auto [path, text] = Wanted();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    StatusOr<std::string> found = std::string();
    while (std::chrono::steady_clock::now() < end) {
      found = ReadFile(path, 1 << 24);
      if (found.ok() && *found == text) return;
      std::this_thread::yield();
    }
    FAIL() << path << " isn't what the events are: " << found.status() << ", "
           << (found.ok() ? found->size() : 0) << " bytes of " << text.size();
  }

  std::optional<FakeWorker> worker_;
  std::unique_ptr<background::TensorBoard> writer_;
  v1::Job job_;
};

TEST_F(TensorBoardTest, WhatIsReportedIsWrittenWhileTheJobRuns) {
  StartWriter();
  const pb::Lease lease = StartJob();

  for (const int64_t step : {1, 2, 3}) {
    Report(lease, step);
    ExpectFileIsWhole();
  }
  ASSERT_TRUE(worker_->Succeed(lease, std::string(64, 'a')).ok());
  ExpectFileIsWhole();
}

TEST_F(TensorBoardTest, ARestartGoesOnBehindTheLastEvent) {
  StartWriter();
  const pb::Lease lease = StartJob();
  Report(lease, 1);
  ExpectFileIsWhole();
  writer_.reset();
  Report(lease, 2);
  const std::filesystem::path path = Wanted().first;
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 3);  // Torn.

  StartWriter();
  ExpectFileIsWhole();
  Report(lease, 3);
  ExpectFileIsWhole();
}

TEST_F(TensorBoardTest, NothingThatIsStoredIsLeftOutWhenItStops) {
  StartWriter();
  const pb::Lease lease = StartJob();
  Report(lease, 1);
  ExpectFileIsWhole();
  for (int64_t step = 2; step <= 30; ++step) Report(lease, step);
  ASSERT_TRUE(worker_->Succeed(lease, std::string(64, 'a')).ok());

  writer_->Stop();

  const auto [path, text] = Wanted();
  EXPECT_EQ(*ReadFile(path, 1 << 24), text);
}

TEST_F(TensorBoardTest, JobsThatEndedWhileNobodyWroteAreCaughtUp) {
  const pb::Lease lease = StartJob();
  Report(lease, 1);
  ASSERT_TRUE(worker_->Succeed(lease, std::string(64, 'a')).ok());

  StartWriter();

  ExpectFileIsWhole();
}

TEST_F(TensorBoardTest, AFileThatWasRemovedIsWrittenAgain) {
  StartWriter();
  const pb::Lease lease = StartJob();
  Report(lease, 1);
  ExpectFileIsWhole();

  std::filesystem::remove_all(folder_->path() / "tensorboard");
  Report(lease, 2);

  ExpectFileIsWhole();
}

TEST_F(TensorBoardTest, AFullDiskIsOneWarningAndStopsNoJob) {
  const auto warnings = std::make_shared<Warnings>();
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", warnings));
  {
    const FileSizeLimit full(40);
    StartWriter();
    const pb::Lease lease = StartJob();
    for (int64_t step = 1; step <= 20; ++step) Report(lease, step);

    EXPECT_TRUE(worker_->Succeed(lease, std::string(64, 'a')).ok());
    while (warnings->count == 0) std::this_thread::yield();
    EXPECT_EQ(Get(job_.name()).state(), v1::SUCCEEDED);
  }
  ExpectFileIsWhole();

  writer_.reset();
  spdlog::set_default_logger(before);
  EXPECT_EQ(warnings->count, 1);
}

}  // namespace
}  // namespace graft::server::rpc
