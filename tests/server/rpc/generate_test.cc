/// Texts of language models through the server: who is asked, when another worker is, what a stream
/// survives and what ends it.

#include <future>

#include "proto/grpc_status.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;
using Writer = grpc::ServerWriter<pb::EngineGenerateResponse>;

constexpr std::chrono::seconds kLongEnough{60};

/// A text as a client got it.
struct Answer {
  grpc::Status status;
  std::vector<v1::GenerateResponse> parts;
  std::string text() const {
    std::string all;
    for (const auto& part : parts) all += part.text();
    return all;
  }
};

class GenerateTest : public ServerFixture {
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
    second_.reset();
    first_.reset();
  }
  /// A second worker; by its id it is asked after w1.
  void AddSecond() {
    second_.emplace(socket_, "w2", std::vector<std::string>{"tiny"});
    second_->Register();
    second_->Hold({"tiny"});
  }
  static v1::GenerateRequest Prompt(const std::string& adapter = "support",
                                    const std::string& base = {}) {
    v1::GenerateRequest request;
    request.set_adapter(adapter);
    request.set_base(base);
    request.set_prompt("Once");
    return request;
  }
  Answer Generate(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kLongEnough);
    auto reader = inference_->Generate(&context, request);
    return ReadAll(*reader);
  }
  static Answer ReadAll(grpc::ClientReader<v1::GenerateResponse>& reader) {
    Answer answer;
    for (v1::GenerateResponse part; reader.Read(&part);) answer.parts.push_back(part);
    answer.status = reader.Finish();
    return answer;
  }
  /// Has w1 write a part, then wait until the test lets it go on or its caller has gone.
  void HoldAfterFirstPart() {
    first_->on_generate = [this](grpc::ServerContext& context, const auto&, Writer& writer) {
      writer.Write(TextPart("one "));
      while (!context.IsCancelled() &&
             released_.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
      }
      if (context.IsCancelled()) {
        cancelled_.set_value();
        return grpc::Status::CANCELLED;
      }
      writer.Write(TextPart("two", "stop"));
      return grpc::Status::OK;
    };
  }

  std::optional<FakeWorker> first_, second_;
  std::promise<void> release_, cancelled_;
  std::shared_future<void> released_ = release_.get_future().share();
};

TEST_F(GenerateTest, EveryPartNamesWhatComputedIt) {
  first_->on_generate = [](auto&, const auto&, Writer& writer) {
    writer.Write(TextPart("one "));
    writer.Write(TextPart("two", "stop"));
    return grpc::Status::OK;
  };

  const Answer answer = Generate(Prompt());

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.text(), "one two");
  ASSERT_EQ(answer.parts.size(), 2);
  for (const auto& part : answer.parts) {
    EXPECT_EQ(part.provenance().adapter_version(), "adapters/support/versions/1");
    EXPECT_EQ(part.provenance().adapter_version_sha256(), std::string(64, 'a'));
    EXPECT_EQ(part.provenance().base(), "tiny");
    EXPECT_EQ(part.provenance().base_fingerprint(), "fingerprint");
  }
  EXPECT_EQ(answer.parts.back().finish_reason(), "stop");
}

TEST_F(GenerateTest, TheWorkerGetsAllThatWasAskedAndWhetherItWas) {
  pb::EngineGenerateRequest seen;
  first_->on_generate = [&](auto&, const pb::EngineGenerateRequest& request, Writer&) {
    seen = request;
    return grpc::Status::OK;
  };
  v1::GenerateRequest request;
  request.set_base("tiny");
  request.mutable_chat()->add_messages()->set_role("user");
  (*request.mutable_chat()->mutable_variables())["enable_thinking"] = "false";
  request.mutable_generation()->set_temperature(0);
  request.mutable_generation()->add_stop("\n");

  const Answer answer = Generate(request);

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(seen.base(), "tiny");
  EXPECT_FALSE(seen.has_version());
  EXPECT_EQ(seen.chat().SerializeAsString(), request.chat().SerializeAsString());
  EXPECT_TRUE(seen.generation().has_temperature());
  EXPECT_FALSE(seen.generation().has_top_p());
  EXPECT_EQ(seen.generation().stop(0), "\n");
}

TEST_F(GenerateTest, APlainBasesAnswerNamesNoVersion) {
  const Answer answer = Generate(Prompt("", "tiny"));

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ASSERT_EQ(answer.parts.size(), 1);
  EXPECT_EQ(answer.parts[0].provenance().base(), "tiny");
  EXPECT_EQ(answer.parts[0].provenance().adapter_version(), "");
}

TEST_F(GenerateTest, BeforeTheFirstTokenAnotherWorkerIsAsked) {
  AddSecond();
  const auto away = [](auto&, const auto&, Writer&) {
    return grpc::Status(StatusCode::UNAVAILABLE, "draining");
  };
  first_->on_generate = away;

  const Answer answer = Generate(Prompt());

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.text(), "w2");
  EXPECT_EQ(first_->generated, 1);
}

TEST_F(GenerateTest, BehindTheFirstTokenNoOtherWorkerIsAsked) {
  AddSecond();
  first_->on_generate = [](auto&, const auto&, Writer& writer) {
    writer.Write(TextPart("one "));
    return grpc::Status(StatusCode::UNAVAILABLE, "draining");
  };

  const Answer answer = Generate(Prompt());

  EXPECT_EQ(answer.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("in the middle of the text"));
  EXPECT_EQ(answer.text(), "one ");
  EXPECT_EQ(second_->generated, 0);
}

TEST_F(GenerateTest, OtherFaultsAreToldAsTheWorkerToldThem) {
  AddSecond();
  first_->on_generate = [](auto&, const auto&, Writer&) {
    return proto::ToGrpcStatus(InvalidArgumentError("top_p is 2").At("generation.top_p"));
  };

  const Answer answer = Generate(Prompt());

  EXPECT_EQ(answer.status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(answer.status), "generation.top_p");
  EXPECT_EQ(second_->generated, 0);
}

TEST_F(GenerateTest, ACallerWhoLeavesIsToldToTheWorker) {
  HoldAfterFirstPart();
  grpc::ClientContext context;
  auto reader = inference_->Generate(&context, Prompt());
  v1::GenerateResponse part;
  ASSERT_TRUE(reader->Read(&part));

  context.TryCancel();

  EXPECT_EQ(cancelled_.get_future().wait_for(kLongEnough), std::future_status::ready);
  EXPECT_EQ(ReadAll(*reader).status.error_code(), StatusCode::CANCELLED);
}

TEST_F(GenerateTest, ADeadlineEndsTextAndWorker) {
  HoldAfterFirstPart();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  auto reader = inference_->Generate(&context, Prompt());

  const Answer answer = ReadAll(*reader);

  EXPECT_EQ(answer.text(), "one ");
  EXPECT_EQ(answer.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(cancelled_.get_future().wait_for(kLongEnough), std::future_status::ready);
}

TEST_F(GenerateTest, ATextThatRunsMayEndWhileTheServerDrains) {
  HoldAfterFirstPart();
  grpc::ClientContext context;
  auto reader = inference_->Generate(&context, Prompt());
  v1::GenerateResponse part;
  ASSERT_TRUE(reader->Read(&part));

  Drain();
  const Answer refused = Generate(Prompt());
  release_.set_value();
  const Answer rest = ReadAll(*reader);

  EXPECT_EQ(refused.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.text(), "two");
}

TEST_F(GenerateTest, APromotionLetsATextEndOnItsVersion) {
  (void)MakeVersion(*first_, 'b');
  HoldAfterFirstPart();
  grpc::ClientContext context;
  auto reader = inference_->Generate(&context, Prompt());
  v1::GenerateResponse part;
  ASSERT_TRUE(reader->Read(&part));

  grpc::ClientContext alias_context;
  v1::SetAliasRequest promote;
  promote.set_adapter("adapters/support");
  promote.set_version("2");
  v1::Adapter adapter;
  ASSERT_TRUE(adapters_->SetAlias(&alias_context, promote, &adapter).ok());
  release_.set_value();
  const Answer rest = ReadAll(*reader);
  const Answer next = Generate(Prompt());

  ASSERT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.parts.at(0).provenance().adapter_version_sha256(), std::string(64, 'a'));
  ASSERT_TRUE(next.status.ok()) << next.status.error_message();
  EXPECT_EQ(next.parts.at(0).provenance().adapter_version_sha256(), std::string(64, 'b'));
}

TEST_F(GenerateTest, NothingIsReadAheadOfACallerWhoReadsNothing) {
  constexpr int kParts = 400;  // Of 256 KiB: far beyond what connections hold.
  std::promise<int> written;
  first_->on_generate = [&](auto&, const auto&, Writer& writer) {
    const pb::EngineGenerateResponse part = TextPart(std::string(256 << 10, 'x'));
    int count = 0;
    while (count < kParts && writer.Write(part)) ++count;
    written.set_value(count);
    return grpc::Status::OK;
  };
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(3));
  auto reader = inference_->Generate(&context, Prompt());

  // The deadline ends what the caller would never have read.
  std::future<int> count = written.get_future();
  ASSERT_EQ(count.wait_for(kLongEnough), std::future_status::ready);

  EXPECT_LT(count.get(), kParts / 2);
  // A write that hangs can't end otherwise than by cutting the call off.
  EXPECT_THAT(ReadAll(*reader).status.error_code(),
              testing::AnyOf(StatusCode::CANCELLED, StatusCode::DEADLINE_EXCEEDED));
}

TEST_F(GenerateTest, BadRequestsReachNoWorker) {
  const auto expect = [&](const v1::GenerateRequest& request, StatusCode code,
                          const std::string& field) {
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.error_code(), code) << request.ShortDebugString();
    EXPECT_EQ(FieldOf(answer.status), field) << request.ShortDebugString();
  };
  expect(Prompt("support", "tiny"), StatusCode::INVALID_ARGUMENT, "adapter");
  expect(Prompt("", ""), StatusCode::INVALID_ARGUMENT, "adapter");
  expect(Prompt("nonesuch"), StatusCode::NOT_FOUND, "adapter");
  expect(Prompt("", "nonesuch"), StatusCode::NOT_FOUND, "base");
  v1::GenerateRequest request = Prompt();
  request.set_prompt("");
  expect(request, StatusCode::INVALID_ARGUMENT, "prompt");
  request.clear_input();
  expect(request, StatusCode::INVALID_ARGUMENT, "prompt");
  request.mutable_chat();
  expect(request, StatusCode::INVALID_ARGUMENT, "chat.messages");

  EXPECT_EQ(first_->generated, 0);
}

TEST_F(GenerateTest, TextsAreScoredByTheWorkerThatServesThem) {
  grpc::ClientContext context;
  v1::ScoreRequest request;
  request.set_adapter("support");
  request.add_inputs()->set_text("one");
  auto* second = request.add_inputs();
  second->set_prompt("two");
  second->set_text("three");
  v1::ScoreResponse response;

  const grpc::Status status = inference_->Score(&context, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.scores(0).tokens(0).text(), "|one");
  EXPECT_EQ(response.scores(1).tokens(0).text(), "two|three");
  EXPECT_EQ(response.provenance().adapter_version_sha256(), std::string(64, 'a'));
}

TEST_F(GenerateTest, WhatCannotBeScoredIsRefusedByItsPlace) {
  const auto field = [&](const v1::ScoreRequest& request) {
    grpc::ClientContext context;
    v1::ScoreResponse response;
    const grpc::Status status = inference_->Score(&context, request, &response);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    return FieldOf(status);
  };
  v1::ScoreRequest request;
  request.set_base("tiny");
  EXPECT_EQ(field(request), "inputs");
  request.add_inputs()->set_prompt("nothing behind it");
  EXPECT_EQ(field(request), "inputs[0].text");
  request.mutable_inputs(0)->set_text("now");
  request.set_adapter("support");
  EXPECT_EQ(field(request), "adapter");
}

class BusyGenerateTest : public GenerateTest {
  void Configure() override { chain_.max_inference_calls = 1; }
};

TEST_F(BusyGenerateTest, ATextKeepsItsPlaceToItsEnd) {
  HoldAfterFirstPart();
  grpc::ClientContext context;
  auto reader = inference_->Generate(&context, Prompt());
  v1::GenerateResponse part;
  ASSERT_TRUE(reader->Read(&part));

  EXPECT_EQ(Generate(Prompt()).status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  release_.set_value();
  EXPECT_TRUE(ReadAll(*reader).status.ok());
  EXPECT_TRUE(Generate(Prompt()).status.ok());
}

}  // namespace
}  // namespace graft::server::rpc
