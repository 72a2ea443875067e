#include <thread>

#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

class RoutingTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    first_.emplace(socket_, "w1", std::vector<std::string>{"tiny"});
    first_->Register();
    first_->Hold({"tiny"});
    (void)MakeVersion(*first_, 'a', /*promote=*/true);
  }
  void TearDown() override {
    ServerFixture::TearDown();
    first_.reset();
  }
  grpc::Status Classify(v1::ClassifyResponse* response, int inputs = 1,
                        const std::string& adapter = "support") {
    grpc::ClientContext context;
    v1::ClassifyRequest request;
    request.set_adapter(adapter);
    for (int i = 0; i < inputs; ++i) request.add_inputs()->set_text("good film");
    return inference_->Classify(&context, request, response);
  }

  std::optional<FakeWorker> first_;
};

TEST_F(RoutingTest, AnswerNamesVersionAndBase) {
  v1::ClassifyResponse response;

  ASSERT_TRUE(Classify(&response, 3).ok());

  EXPECT_EQ(response.predictions_size(), 3);
  EXPECT_EQ(response.provenance().adapter_version(), "adapters/support/versions/1");
  EXPECT_EQ(response.provenance().adapter_version_sha256(), std::string(64, 'a'));
  EXPECT_EQ(response.provenance().base(), "tiny");
  EXPECT_EQ(response.provenance().base_fingerprint(), "fingerprint");
}

TEST_F(RoutingTest, RequestGoesToAnotherWorkerWhenOneIsGone) {
  FakeWorker second(socket_, "w2", {"tiny"});
  second.Register();
  second.Hold({"tiny"});
  first_->StopEngine();
  v1::ClassifyResponse response;

  for (int i = 0; i < 10; ++i) {
    const grpc::Status status = Classify(&response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.predictions(0).label(), "w2");
  }
  Stop();
}

TEST_F(RoutingTest, OnlyUnavailableIsTriedElsewhere) {
  FakeWorker second(socket_, "w2", {"tiny"});
  second.Register();
  second.Hold({"tiny"});
  const auto fail = [](const auto&) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "a pair is missing");
  };
  first_->on_classify = fail;
  second.on_classify = fail;
  v1::ClassifyResponse response;

  EXPECT_EQ(Classify(&response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  EXPECT_EQ(first_->classified + second.classified, 1);
  Stop();
}

TEST_F(RoutingTest, WithoutAWorkerItIsUnavailableAtOnceUnlessOneIsExpected) {
  OnIo([this] { workers_->Remove("w1"); });
  v1::ClassifyResponse response;
  EXPECT_EQ(Classify(&response).error_code(), grpc::StatusCode::UNAVAILABLE);

  OnIo([this] { workers_->set_expecting(true); });
  grpc::Status status;
  std::thread waiting([&] { status = Classify(&response); });
  first_->Register();
  waiting.join();

  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(RoutingTest, BadRequestsReachNoWorker) {
  v1::ClassifyResponse response;

  EXPECT_EQ(Classify(&response, 0).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Classify(&response, 257).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Classify(&response, 1, "nonesuch").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Classify(&response, 1, "support@9").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Classify(&response, 1, "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Classify(&response, 1, "../support").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext context;
  v1::ClassifyRequest empty;
  empty.set_adapter("support");
  empty.add_inputs();
  EXPECT_EQ(inference_->Classify(&context, empty, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  EXPECT_EQ(first_->classified, 0);
}

class BusyTest : public RoutingTest {
  void Configure() override { chain_.max_inference_calls = 1; }
};

TEST_F(BusyTest, OneTooManyIsRefusedNotQueued) {
  std::promise<void> begun;
  std::promise<void> go_on;
  first_->on_classify = [&](const auto&) {
    begun.set_value();
    go_on.get_future().wait();
    return grpc::Status::OK;
  };
  v1::ClassifyResponse slow_response;
  grpc::Status slow;
  std::thread other([&] { slow = Classify(&slow_response); });
  begun.get_future().wait();
  v1::ClassifyResponse response;

  EXPECT_EQ(Classify(&response).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);

  go_on.set_value();
  other.join();
  EXPECT_TRUE(slow.ok());
  first_->on_classify = nullptr;
  EXPECT_TRUE(Classify(&response).ok()) << "the place is free again";
}

}  // namespace
}  // namespace graft::server::rpc
