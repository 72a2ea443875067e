#include "call_fixture.h"

#include <gmock/gmock.h>
#include <boost/asio/redirect_error.hpp>

namespace graft::server::rpc {
namespace {

using graft::v1::BaseModel;
using graft::v1::GetBaseRequest;
using graft::v1::JobEvent;

class DrainTest : public CallFixture {
 protected:
  void Drain() {
    OnIo([this] { host_.Drain(); });
  }
  Flag begun_;
};

TEST_F(DrainTest, StreamsEndUnavailable) {
  options_.on_drain = calls::OnDrain::kEnd;
  stream_ = [](calls::CallContext&, const graft::v1::WatchJobRequest&,
               calls::StreamWriter<JobEvent>& writer) -> calls::Awaitable<Status> {
    (void)co_await writer.Write(JobEvent());
    co_await Forever();
    co_return OkStatus();
  };
  grpc::ClientContext context;
  auto reader = jobs_->WatchJob(&context, {});
  JobEvent event;
  ASSERT_TRUE(reader->Read(&event));

  Drain();

  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DrainTest, NewCallsAreUnavailable) {
  unary_ = [](calls::CallContext&, const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    co_return BaseModel();
  };
  ASSERT_TRUE(GetBase().ok());

  Drain();

  EXPECT_EQ(GetBase().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DrainTest, RefusedInferenceIsCounted) {
  unary_ = [](calls::CallContext&, const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    co_return BaseModel();
  };
  Drain();
  EXPECT_FALSE(GetBase().ok());
  EXPECT_THAT(probe_.rejected(), testing::IsEmpty());

  options_.cost = calls::Cost::kInference;
  EXPECT_FALSE(GetBase().ok());

  EXPECT_THAT(probe_.rejected(), testing::ElementsAre("draining"));
}

TEST_F(DrainTest, WatcherThatReadsAgainIsToldOfTheDrain) {
  options_.on_drain = calls::OnDrain::kEnd;
  stream_ = [this](calls::CallContext&, const graft::v1::WatchJobRequest&,
                   calls::StreamWriter<JobEvent>& writer) -> calls::Awaitable<Status> {
    JobEvent event;
    event.set_warning(std::string(1 << 20, 'x'));
    begun_.Set();
    while (co_await writer.Write(event)) {
    }
    co_return CancelledError("");
  };
  grpc::ClientContext context;
  auto reader = jobs_->WatchJob(&context, {});
  ASSERT_TRUE(begun_.Wait());

  Drain();

  JobEvent event;
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DrainTest, WhatWorkersNeedToFinishStillRuns) {
  options_.on_drain = calls::OnDrain::kRun;
  unary_ = [](calls::CallContext&, const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    co_return BaseModel();
  };

  Drain();

  EXPECT_TRUE(GetBase().ok());
}

TEST_F(DrainTest, CallsInFlightFinish) {
  auto go_on = std::make_shared<boost::asio::steady_timer>(runtime_.io(), std::chrono::hours(1));
  unary_ = [this, go_on](calls::CallContext&,
                         const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    begun_.Set();
    boost::system::error_code ignored;
    co_await go_on->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    co_return BaseModel();
  };
  grpc::ClientContext context;
  BaseModel reply;
  const GetBaseRequest request;
  Flag ended;
  grpc::Status status;
  bases_->async()->GetBase(&context, &request, &reply, [&](grpc::Status s) {
    status = s;
    ended.Set();
  });
  ASSERT_TRUE(begun_.Wait());

  Drain();
  OnIo([&] { go_on->cancel(); });

  ASSERT_TRUE(ended.Wait());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace graft::server::rpc
