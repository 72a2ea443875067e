#include <stdexcept>

#include <gmock/gmock.h>

#include "call_fixture.h"
#include "proto/grpc_status.h"

namespace graft::server::rpc {
namespace {

using graft::v1::BaseModel;
using graft::v1::GetBaseRequest;
using testing::HasSubstr;
using testing::Not;

class ErrorTest : public CallFixture {};

TEST_F(ErrorTest, AnswerArrives) {
  unary_ = [](calls::CallContext& context,
              const GetBaseRequest& request) -> calls::Awaitable<StatusOr<BaseModel>> {
    BaseModel model;
    model.set_name(request.name() + " of " + context.tenant);
    co_return model;
  };
  BaseModel reply;

  EXPECT_TRUE(GetBase(&reply, "bases/minilm").ok());
  EXPECT_EQ(reply.name(), "bases/minilm of default");
  const auto ended = probe_.WaitForEnded(1);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].rpc, "Test.Method");
  EXPECT_EQ(ended[0].code, StatusCode::kOk);
  EXPECT_EQ(ended[0].protocol, calls::Protocol::kGrpc);
}

TEST_F(ErrorTest, EveryCodeArrivesWithItsDetails) {
  for (int code = 1; code <= 16; ++code) {
    Status status(static_cast<StatusCode>(code), "what to do");
    status.AddDetail({"REASON", "spec.base", 3, "text", "more"});
    unary_ = [status](calls::CallContext&,
                      const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
      co_return status;
    };

    const grpc::Status received = GetBase();

    EXPECT_EQ(received.error_code(), code);
    EXPECT_EQ(proto::FromGrpcStatus(received), status);
    EXPECT_EQ(probe_.WaitForEnded(static_cast<size_t>(code)).back().code, status.code());
  }
}

TEST_F(ErrorTest, ErrorTooLongForTheWireDoesNotHarmTheNextCall) {
  unary_ = [](calls::CallContext&, const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    Status status = InternalError(std::string(50'000, '\n'));
    for (int i = 0; i < 100; ++i) status.AddDetail({"R", "f", i, "c", std::string(10'000, 'm')});
    co_return status;
  };
  EXPECT_EQ(GetBase().error_code(), grpc::StatusCode::INTERNAL);

  unary_ = [](calls::CallContext&, const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    co_return BaseModel();
  };
  EXPECT_TRUE(GetBase().ok());
}

TEST_F(ErrorTest, ExceptionBecomesInternalAndKeepsItsTextToTheLog) {
  unary_ = [](calls::CallContext&, const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    throw std::runtime_error("a secret of the server");
    co_return BaseModel();
  };

  const grpc::Status received = GetBase();

  EXPECT_EQ(received.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(received.error_message(), HasSubstr("unexpected fault"));
  EXPECT_THAT(received.error_message(), Not(HasSubstr("secret")));
}

TEST_F(ErrorTest, ExceptionInAStreamEndsIt) {
  stream_ = [](calls::CallContext&, const graft::v1::WatchJobRequest&,
               calls::StreamWriter<graft::v1::JobEvent>& writer) -> calls::Awaitable<Status> {
    (void)co_await writer.Write(graft::v1::JobEvent());
    throw std::runtime_error("x");
  };
  grpc::ClientContext context;
  auto reader = jobs_->WatchJob(&context, {});

  graft::v1::JobEvent event;
  EXPECT_TRUE(reader->Read(&event));
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INTERNAL);
}

TEST_F(ErrorTest, WorkOnTheDiskThreadsReturnsWhatItReturned) {
  unary_ = [this](calls::CallContext&,
                  const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    auto work = [this]() -> Status {
      EXPECT_FALSE(runtime_.OnIoThread());
      return DataLossError("torn");
    };
    Status status = co_await OnDisk(runtime_, work);
    EXPECT_TRUE(runtime_.OnIoThread());
    co_return status;
  };
  EXPECT_EQ(GetBase().error_code(), grpc::StatusCode::DATA_LOSS);

  unary_ = [this](calls::CallContext&,
                  const GetBaseRequest&) -> calls::Awaitable<StatusOr<BaseModel>> {
    auto work = []() -> Status { throw std::bad_alloc(); };
    co_return co_await OnDisk(runtime_, work);
  };
  EXPECT_EQ(GetBase().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace graft::server::rpc
