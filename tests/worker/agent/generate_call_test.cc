/// One stream of a text: what its caller doesn't read in time is joined, and bounded.

#include "worker/agent/generate_call.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <thread>

#include "graft/internal/v1/engine.grpc.pb.h"
#include "proto/grpc_status.h"
#include "tests/support/details.h"

namespace graft::worker::agent {
namespace {

namespace pb = graft::internal::v1;
using Call = std::shared_ptr<GenerateCall>;

engine::GeneratedPiece Piece(int32_t index, const std::string& text) {
  engine::GeneratedPiece piece;
  piece.index = index;
  piece.text = text;
  return piece;
}

/// An engine whose texts a test writes, on a thread of its own.
class Service : public pb::Engine::CallbackService {
 public:
  ~Service() override {
    for (std::thread& thread : threads_) thread.join();
  }
  grpc::ServerWriteReactor<pb::EngineGenerateResponse>* Generate(
      grpc::CallbackServerContext*, const pb::EngineGenerateRequest*) override {
    const Call call = GenerateCall::Make(writers_);
    threads_.emplace_back([this, call] { write(call); });
    return call.get();
  }
  std::function<void(const Call&)> write;

 private:
  TaskThreads writers_{1};
  std::vector<std::thread> threads_;
};

class GenerateCallTest : public ::testing::Test {
 protected:
  void Serve(std::function<void(const Call&)> write) {
    service_.write = std::move(write);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = pb::Engine::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                    grpc::InsecureChannelCredentials()));
    reader_ = stub_->Generate(&context_, {});
  }
  ~GenerateCallTest() override {
    context_.TryCancel();
    if (server_ != nullptr) server_->Shutdown();
  }

  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<pb::Engine::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<pb::EngineGenerateResponse>> reader_;
};

TEST_F(GenerateCallTest, PiecesThatWaitAreJoinedBySequence) {
  constexpr int kPieces = 5000;
  Serve([](const Call& call) {
    for (int i = 0; i < kPieces; ++i) call->Push(Piece(i % 2, std::to_string(i) + " "));
    call->End(grpc::Status::OK);
  });

  std::map<int, std::string> texts;
  int messages = 0, tokens = 0;
  for (pb::EngineGenerateResponse response; reader_->Read(&response); ++messages) {
    texts[response.part().index()] += response.part().text();
    tokens += response.part().tokens_size();
  }

  EXPECT_TRUE(reader_->Finish().ok());
  std::map<int, std::string> expected;
  for (int i = 0; i < kPieces; ++i) expected[i % 2] += std::to_string(i) + " ";
  EXPECT_EQ(texts, expected);
  EXPECT_EQ(tokens, kPieces);
  EXPECT_LT(messages, kPieces);
}

TEST_F(GenerateCallTest, ACallerForWhomTooMuchWaitsIsGivenUp) {
  std::promise<int> pushed;
  Serve([&](const Call& call) {
    int pieces = 0;
    // Far more than connections hold.
    for (; pieces < 10'000 && !call->abandoned(); ++pieces)
      call->Push(Piece(0, std::string(50'000, 'x')));
    pushed.set_value(pieces);
    call->End({grpc::StatusCode::CANCELLED, "nobody waits"});
  });

  EXPECT_LT(pushed.get_future().get(), 10'000);
  pb::EngineGenerateResponse response;
  while (reader_->Read(&response)) {
  }
  const Status status = proto::FromGrpcStatus(reader_->Finish());

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "SLOW_READER");
}

TEST_F(GenerateCallTest, ACallerWhoLeavesIsTold) {
  std::promise<void> told;
  Serve([&](const Call& call) {
    call->Push(Piece(0, "x"));
    while (!call->abandoned()) std::this_thread::yield();
    call->Push(Piece(0, "never sent"));
    call->End({grpc::StatusCode::CANCELLED, "nobody waits"});
    told.set_value();
  });
  pb::EngineGenerateResponse response;
  ASSERT_TRUE(reader_->Read(&response));

  context_.TryCancel();
  told.get_future().wait();

  EXPECT_EQ(reader_->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace graft::worker::agent
