#include "call_fixture.h"

namespace graft::server::rpc {
namespace {

using graft::v1::BaseModel;
using graft::v1::GetBaseRequest;
using graft::v1::JobEvent;

class CancelTest : public CallFixture {
 protected:
  Flag begun_;
};

TEST_F(CancelTest, CancelledUnaryCallStopsItsCoroutine) {
  unary_ = [this](calls::CallContext&,
                  const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    begun_.Set();
    co_await Forever();
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

  context.TryCancel();

  ASSERT_TRUE(ended.Wait());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
}

TEST_F(CancelTest, CancelledStreamStopsItsCoroutine) {
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

  context.TryCancel();

  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
}

TEST_F(CancelTest, WatcherThatDoesNotReadHoldsOneMessageOnly) {
  int written = 0;
  stream_ = [&](calls::CallContext&, const graft::v1::WatchJobRequest&,
                calls::StreamWriter<JobEvent>& writer) -> calls::Awaitable<Status> {
    JobEvent event;
    event.set_warning(std::string(1 << 20, 'x'));
    begun_.Set();
    while (co_await writer.Write(event)) ++written;
    co_return CancelledError("");
  };
  {
    grpc::ClientContext context;
    auto reader = jobs_->WatchJob(&context, {});
    ASSERT_TRUE(begun_.Wait());
    JobEvent event;
    ASSERT_TRUE(reader->Read(&event));
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  ASSERT_EQ(probe_.WaitForEnded(1).size(), 1U);
  OnIo([&] { EXPECT_LT(written, 20) << "the writer waited for the reader"; });
}

TEST_F(CancelTest, CancelledUploadStopsItsCoroutine) {
  upload_ = [this](calls::CallContext&,
                   calls::StreamReader<graft::v1::UploadDatasetRequest>& reader)
      -> calls::Awaitable<StatusOr<graft::v1::Dataset>> {
    begun_.Set();
    while (co_await reader.Read()) {
    }
    co_await Forever();  // Whatever comes next must not run.
    co_return graft::v1::Dataset();
  };
  grpc::ClientContext context;
  graft::v1::Dataset reply;
  auto writer = datasets_->UploadDataset(&context, &reply);
  ASSERT_TRUE(begun_.Wait());

  context.TryCancel();

  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
}

TEST_F(CancelTest, ThousandCallsCancelledAtOnceAllEnd) {
  unary_ = [](calls::CallContext&, const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    co_await Forever();
    co_return BaseModel();
  };
  constexpr size_t kCalls = 1000;
  struct Call {
    grpc::ClientContext context;
    BaseModel reply;
    Flag ended;
  };
  const GetBaseRequest request;
  std::vector<std::unique_ptr<Call>> calls;
  for (size_t i = 0; i < kCalls; ++i) {
    calls.push_back(std::make_unique<Call>());
    Call& call = *calls.back();
    bases_->async()->GetBase(&call.context, &request, &call.reply,
                             [&call](grpc::Status) { call.ended.Set(); });
  }

  for (auto& call : calls) call->context.TryCancel();

  for (auto& call : calls) ASSERT_TRUE(call->ended.Wait());
}

}  // namespace
}  // namespace graft::server::rpc
