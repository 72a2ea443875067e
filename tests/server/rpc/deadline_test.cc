#include "call_fixture.h"

namespace graft::server::rpc {
namespace {

using graft::v1::BaseModel;
using graft::v1::GetBaseRequest;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

class DeadlineTest : public CallFixture {
 protected:
  void SetUp() override {
    CallFixture::SetUp();
    unary_ = [](calls::CallContext&,
                const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
      co_await Forever();
      co_return BaseModel();
    };
    // Without end.
    stream_ = [](calls::CallContext&, const graft::v1::WatchJobRequest&,
                 calls::StreamWriter<graft::v1::JobEvent>& writer) -> calls::Awaitable<Status> {
      graft::v1::JobEvent event;
      event.set_warning(std::string(1 << 20, 'x'));
      while (co_await writer.Write(event)) {
      }
      co_return CancelledError("");
    };
  }
};

TEST_F(DeadlineTest, CallWithoutADeadlineEndsAtTheServersCap) {
  options_.max_duration = milliseconds(30);

  EXPECT_EQ(GetBase().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kDeadlineExceeded);
}

TEST_F(DeadlineTest, CallersDeadlineEndsTheWorkOnTheServer) {
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + milliseconds(30));
  BaseModel reply;

  EXPECT_EQ(bases_->GetBase(&context, {}, &reply).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);

  ASSERT_EQ(probe_.WaitForEnded(1).size(), 1U) << "the coroutine ended too";
}

TEST_F(DeadlineTest, MethodSeesTheEarlierOfBothDeadlines) {
  milliseconds left{};
  unary_ = [&](calls::CallContext& call,
               const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    left = call.TimeLeft();
    co_return BaseModel();
  };
  options_.max_duration = seconds(60);

  ASSERT_TRUE(GetBase().ok());
  EXPECT_LE(left, seconds(60));
  EXPECT_GT(left, seconds(40));

  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + seconds(20));
  BaseModel reply;
  ASSERT_TRUE(bases_->GetBase(&context, {}, &reply).ok());
  EXPECT_LT(left, seconds(30));
}

TEST_F(DeadlineTest, UploaderThatSendsNothingIsSentAway) {
  options_.max_duration = milliseconds(30);
  upload_ = [](calls::CallContext&, calls::StreamReader<graft::v1::UploadDatasetRequest>& reader)
      -> calls::Awaitable<StatusOr<graft::v1::Dataset>> {
    while (co_await reader.Read()) {
    }
    co_return graft::v1::Dataset();
  };
  grpc::ClientContext context;
  graft::v1::Dataset reply;
  auto writer = datasets_->UploadDataset(&context, &reply);

  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(DeadlineTest, WatcherThatReadsNothingIsSentAway) {
  options_.max_duration = milliseconds(200);
  grpc::ClientContext context;
  auto reader = jobs_->WatchJob(&context, {});

  const auto ended = probe_.WaitForEnded(1);

  ASSERT_EQ(ended.size(), 1U) << "although nobody read";
  EXPECT_EQ(ended[0].code, StatusCode::kDeadlineExceeded);
}

TEST_F(DeadlineTest, ReaderOfAStreamIsToldThatItsTimeIsUp) {
  options_.max_duration = milliseconds(100);
  for (int i = 0; i < 5; ++i) {
    grpc::ClientContext context;
    auto reader = jobs_->WatchJob(&context, {});
    graft::v1::JobEvent event;
    while (reader->Read(&event)) {
    }

    const grpc::Status status = reader->Finish();

    EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  }
}

TEST_F(DeadlineTest, AnswerReachedInTimeIsNotTakenBack) {
  options_.max_duration = milliseconds(30);
  unary_ = [](calls::CallContext& call,
              const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    // Work that can't be interrupted, like a store's commit, may end behind the deadline.
    while (call.TimeLeft() > milliseconds(0)) {
    }
    co_return BaseModel();
  };

  EXPECT_TRUE(GetBase().ok());
}

}  // namespace
}  // namespace graft::server::rpc
