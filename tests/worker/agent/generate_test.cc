/// Texts and scores over a real channel and a real engine: chats and prompts, versions that must be
/// loaded, callers who leave or don't read, and faults.

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "common/artifacts/artifact.h"
#include "common/base/file.h"
#include "common/families/layout.h"
#include "tests/support/details.h"
#include "tests/worker/agent/fake_coordinator.h"
#include "worker/agent/engine_service.h"
#include "worker/agent/server_link.h"

namespace graft::worker::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
namespace fs = std::filesystem;

constexpr const char* kBase = "base-llama";
constexpr const char* kPrefix = "versions/texts/";
const fs::path kGolden = GRAFT_SOURCE_DIR "/tests/golden";

struct Answer {
  grpc::Status status;
  std::vector<pb::EngineGenerateResponse> parts;
  std::string text(int index = 0) const {
    std::string all;
    for (const auto& part : parts)
      if (part.part().index() == index) all += part.part().text();
    return all;
  }
  std::vector<int> tokens(int index = 0) const {
    std::vector<int> ids;
    for (const auto& part : parts)
      for (const auto& token : part.part().tokens())
        if (part.part().index() == index) ids.push_back(token.id());
    return ids;
  }
  Status graft_status() const { return proto::FromGrpcStatus(status); }
};

/// Trains a language model on one text; its version isn't resident afterwards.
class Trained : public engine::TrainObserver {
 public:
  static engine::Artifact On(engine::Engine& engine) {
    const Json json = {
        {"base", kBase},
        {"adapter", "texts"},
        {"task", {{"causal_lm", Json::object()}}},
        {"method", {{"lora", {{"rank", 4}}}}},
        {"dataset", {{"train", "file:///x"}}},
        {"hyperparameters",
         {{"max_steps", 30}, {"batch_size", 4}, {"learning_rate", 0.02}, {"precision", "FP32"}}}};
    const std::string config = *ReadFile(kGolden / "decoders" / kBase / "config.json");
    auto spec =
        spec::Resolve(*spec::FromJson(json), *families::ReadLayout(config, {"lm_head.weight"}));
    auto data = std::make_shared<datasets::IngestedDataset>();
    datasets::Example example;
    example.text = "the cat sat on the mat and looked at the moon";
    data->train.assign(8, example);
    engine::TrainRequest request;
    request.job_id = "texts";
    request.base = kBase;
    request.spec = std::make_shared<const spec::JobSpec>(*std::move(spec));
    request.dataset = data;
    auto observer = std::make_shared<Trained>();
    auto outcome = observer->outcome_.get_future();
    const Status begun = engine.Train(std::move(request), observer);
    if (!begun.ok()) throw std::runtime_error(begun.ToString());
    return outcome.get().value().artifact;
  }
  void OnDone(StatusOr<engine::TrainOutcome> outcome) override {
    outcome_.set_value(std::move(outcome));
  }

 private:
  std::promise<StatusOr<engine::TrainOutcome>> outcome_;
};

class GenerateServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(bases());
    fs::copy(kGolden / "decoders" / kBase, bases() / kBase);
    fs::copy(kGolden / "data" / "base-bert", bases() / "base-bert");
    engine::EngineOptions options;
    options.bases = bases();
    options.threads = 2;
    options.base_precision = spec::Precision::kFp32;
    auto engine = engine::Engine::Create(std::move(options));
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = std::move(*engine);
    service_ = std::make_unique<EngineService>(*engine_, objects_, [this](double) { ++swaps_; });
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    grpc_server_ = builder.BuildAndStart();
    stub_ = pb::Engine::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                    grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    if (grpc_server_ != nullptr) grpc_server_->Shutdown(std::chrono::system_clock::now());
    engine_.reset();
  }
  fs::path bases() const { return folder_.path() / "bases"; }

  static pb::EngineGenerateRequest Prompt(const std::string& prompt, int max_tokens = 8) {
    pb::EngineGenerateRequest request;
    request.set_base(kBase);
    request.set_prompt(prompt);
    request.mutable_generation()->set_temperature(0);
    request.mutable_generation()->set_max_tokens(max_tokens);
    return request;
  }
  static pb::EngineGenerateRequest Chat(const std::string& said) {
    pb::EngineGenerateRequest request = Prompt("");
    auto& message = *request.mutable_chat()->add_messages();
    message.set_role("user");
    message.set_content(said);
    return request;
  }
  /// Fills a cache for long: 64 texts as long as the context allows.
  static pb::EngineGenerateRequest Endless() {
    pb::EngineGenerateRequest request = Prompt("the", 120);
    request.mutable_generation()->set_min_tokens(120);
    request.mutable_generation()->set_n(64);
    return request;
  }
  Answer Generate(const pb::EngineGenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kLongEnough);
    const auto reader = stub_->Generate(&context, request);
    return ReadAll(*reader);
  }
  static Answer ReadAll(grpc::ClientReader<pb::EngineGenerateResponse>& reader) {
    Answer answer;
    for (pb::EngineGenerateResponse part; reader.Read(&part);) answer.parts.push_back(part);
    answer.status = reader.Finish();
    return answer;
  }
  /// False if it doesn't come true in kLongEnough.
  bool WaitUntil(const std::function<bool(const engine::EngineFigures&)>& holds) {
    const auto give_up = std::chrono::steady_clock::now() + kLongEnough;
    while (!holds(engine_->figures())) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }
  /// Stores a language model's version, with a chat template of its own if one is given and the
  /// variables that it was trained with, and returns what the server would say of it.
  pb::VersionRef StoreVersion(const std::string& chat_template = {},
                              const Json& variables = Json::object()) {
    const engine::Artifact artifact = Trained::On(*engine_);
    engine::Files files = artifact.files;
    pb::VersionRef version;
    version.set_sha256(artifact.sha256);
    version.set_base(kBase);
    version.set_artifact_prefix(kPrefix);
    if (!chat_template.empty()) {
      const std::string config = *ReadFile(kGolden / "decoders" / kBase / "config.json");
      auto manifest = artifacts::Open(files, *families::ReadLayout(config, {"lm_head.weight"}));
      // What its job trained it with.
      manifest->record.job["spec"]["task"]["causal_lm"]["chat_template_variables"] = variables;
      files.erase("graft.json");
      files["chat_template.jinja"] = chat_template;
      version.set_sha256(artifacts::Seal(manifest->identity, manifest->record, files).sha256);
    }
    for (const auto& [name, bytes] : files) server_.Store(kPrefix + name, bytes);
    return version;
  }

  TempFolder folder_ = *TempFolder::Create();
  FakeCoordinator server_{"unix:" + (folder_.path() / "server.sock").string()};
  std::shared_ptr<ServerLink> link_ = std::make_shared<ServerLink>(server_.address());
  std::shared_ptr<Objects> objects_ = std::make_shared<Objects>(link_);
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<EngineService> service_;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<pb::Engine::Stub> stub_;
  std::atomic<int> swaps_ = 0;
};

TEST_F(GenerateServiceTest, EveryPartTellsItsTokensCountsAndBase) {
  pb::EngineGenerateRequest request = Prompt("the cat");
  request.mutable_generation()->set_logprobs(2);
  request.mutable_generation()->set_min_tokens(8);

  const Answer answer = Generate(request);

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.tokens().size(), 8);
  size_t tokens = 0;
  for (const auto& part : answer.parts) {
    EXPECT_EQ(part.base_fingerprint(), *engine_->BaseFingerprint(kBase));
    EXPECT_GT(part.part().prompt_tokens(), 1);
    tokens += static_cast<size_t>(part.part().tokens_size());
    EXPECT_EQ(part.part().generated_tokens(), tokens);
    EXPECT_EQ(part.part().finish_reason(), tokens == 8 ? "length" : "");
    for (const auto& token : part.part().tokens()) {
      ASSERT_EQ(token.best_size(), 2);
      EXPECT_EQ(token.log_probability(), token.best(0).log_probability());
      EXPECT_EQ(token.id(), token.best(0).token());
    }
  }
  EXPECT_EQ(tokens, 8);
}

TEST_F(GenerateServiceTest, SettingsThatAreAbsentDifferFromZero) {
  pb::EngineGenerateRequest sampled = Prompt("the cat", 60);
  sampled.mutable_generation()->set_min_tokens(60);
  sampled.mutable_generation()->set_temperature(1.5);
  sampled.mutable_generation()->set_seed(3);
  pb::EngineGenerateRequest greedy = sampled;
  greedy.mutable_generation()->set_temperature(0);
  pb::EngineGenerateRequest one = sampled;
  one.mutable_generation()->set_top_p(0);  // Of one token.
  pb::EngineGenerateRequest own = sampled;
  own.mutable_generation()->clear_temperature();  // The base's own is greedy.

  const Answer first = Generate(sampled), likeliest = Generate(greedy);

  EXPECT_EQ(Generate(sampled).tokens(), first.tokens());
  EXPECT_NE(first.tokens(), likeliest.tokens());
  EXPECT_EQ(Generate(one).tokens(), likeliest.tokens());
  EXPECT_EQ(Generate(own).tokens(), likeliest.tokens());
}

TEST_F(GenerateServiceTest, SettingsThatABasesOwnTemperatureLeavesWithoutEffectAreTold) {
  pb::EngineGenerateRequest request = Prompt("the cat", 3);
  request.mutable_generation()->clear_temperature();
  request.mutable_generation()->set_top_p(0.5);
  request.mutable_generation()->set_n(2);

  const Answer own = Generate(request);
  request.mutable_generation()->set_temperature(1);
  const Answer drawn = Generate(request);

  ASSERT_TRUE(own.status.ok()) << own.status.error_message();
  EXPECT_THAT(own.parts.at(0).part().settings_without_effect(),
              ::testing::ElementsAre("generation.n", "generation.top_p"));
  EXPECT_EQ(own.parts.back().part().settings_without_effect_size(), own.parts.size() == 1 ? 2 : 0);
  for (const auto& part : drawn.parts) EXPECT_EQ(part.part().settings_without_effect_size(), 0);
}

TEST_F(GenerateServiceTest, SeveralTextsComeForOnePrompt) {
  pb::EngineGenerateRequest request = Prompt("the cat", 12);
  request.mutable_generation()->set_temperature(1);
  request.mutable_generation()->set_min_tokens(12);
  request.mutable_generation()->set_seed(7);
  request.mutable_generation()->set_n(3);

  const Answer answer = Generate(request);

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.tokens(0).size(), 12);
  EXPECT_EQ(answer.tokens(2).size(), 12);
  EXPECT_NE(answer.tokens(0), answer.tokens(1));
}

TEST_F(GenerateServiceTest, AChatIsThePromptThatItsTemplateMakesOfIt) {
  const Answer chat = Generate(Chat("who is there?"));
  const Answer prompt = Generate(Prompt("<s>user who is there?</s><s>assistant "));

  ASSERT_TRUE(chat.status.ok()) << chat.status.error_message();
  EXPECT_EQ(chat.tokens(), prompt.tokens());
  EXPECT_EQ(chat.parts.at(0).part().prompt_tokens(), prompt.parts.at(0).part().prompt_tokens());
}

TEST_F(GenerateServiceTest, AVersionThatIsNotResidentIsLoadedFirst) {
  pb::EngineGenerateRequest request = Prompt("the cat sat", 6);
  *request.mutable_version() = StoreVersion();
  request.clear_base();

  const Answer answer = Generate(request);
  const Answer again = Generate(request);

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(" on the mat and looked at the moon", StartsWith(answer.text()));
  EXPECT_NE(answer.tokens(), Generate(Prompt("the cat sat", 6)).tokens());
  EXPECT_EQ(again.tokens(), answer.tokens());
  EXPECT_EQ(swaps_, 1);
}

TEST_F(GenerateServiceTest, AVersionsOwnTemplateWinsOverItsBases) {
  pb::EngineGenerateRequest chat = Chat("sat"), prompt = Prompt("the cat sat");
  *chat.mutable_version() = StoreVersion("the cat {{ messages[0].content }}");
  *prompt.mutable_version() = chat.version();

  const Answer answer = Generate(chat);

  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.tokens(), Generate(prompt).tokens());
}

TEST_F(GenerateServiceTest, AVersionsVariablesHoldUnlessTheRequestHasOthers) {
  pb::EngineGenerateRequest chat = Chat("sat");
  *chat.mutable_version() =
      StoreVersion("{{ style.subject }}{{ ' slowly' if slow }} {{ messages[0].content }}",
                   {{"style", {{"subject", "the cat"}}}, {"slow", false}});
  const auto as_prompt = [&](const std::string& prompt) {
    pb::EngineGenerateRequest request = Prompt(prompt);
    *request.mutable_version() = chat.version();
    return Generate(request).tokens();
  };

  const Answer trained = Generate(chat);
  (*chat.mutable_chat()->mutable_variables())["slow"] = "true";
  const Answer slow = Generate(chat);
  (*chat.mutable_chat()->mutable_variables())["style"] = R"({"subject": "the moon"})";
  const Answer other = Generate(chat);

  ASSERT_TRUE(trained.status.ok()) << trained.status.error_message();
  EXPECT_EQ(trained.tokens(), as_prompt("the cat sat"));
  EXPECT_EQ(slow.tokens(), as_prompt("the cat slowly sat"));
  EXPECT_EQ(other.tokens(), as_prompt("the moon slowly sat"));
}

TEST_F(GenerateServiceTest, AVersionThatLeavesWhileItsChatIsRenderedIsLoadedAgain) {
  pb::EngineGenerateRequest chat = Chat("sat");
  *chat.mutable_version() = StoreVersion(
      "{% for i in range(1000) %}{% for j in range(5000) %}{% endfor %}{% endfor %}"
      "the cat {{ messages[0].content }}");
  auto answer = std::async(std::launch::async, [&] { return Generate(chat); });

  ASSERT_TRUE(WaitUntil([](const auto& figures) { return figures.adapters_resident == 1; }));
  engine_->Unload(chat.version().sha256());

  const grpc::Status status = answer.get().status;
  EXPECT_TRUE(status.ok()) << status.error_message();
  const auto gets = server_.seen().gets;
  EXPECT_EQ(std::ranges::count(gets, std::string(kPrefix) + "graft.json"), 2);
}

TEST_F(GenerateServiceTest, CallersWhoLeaveFreeTheirPlaces) {
  constexpr int kCalls = 30;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<pb::EngineGenerateResponse>>> readers;
  for (int i = 0; i < kCalls; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(stub_->Generate(contexts.back().get(), Endless()));
  }
  ASSERT_TRUE(WaitUntil([](const auto& figures) {
    return figures.generations == kCalls && figures.kv_used_bytes > 0;
  }));
  EXPECT_LE(engine_->figures().kv_used_bytes, engine_->figures().kv_bytes);

  for (const auto& context : contexts) context->TryCancel();

  ASSERT_TRUE(WaitUntil([](const auto& figures) { return figures.generations == 0; }));
  EXPECT_LT(engine_->figures().generated_tokens, kCalls * 64 * 120 / 2);
  for (const auto& reader : readers)
    EXPECT_EQ(ReadAll(*reader).status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Generate(Prompt("the")).status.ok());
  EXPECT_TRUE(WaitUntil([](const auto& figures) { return figures.kv_bytes == 0; }));
  EXPECT_EQ(engine_->figures().kv_used_bytes, 0);
}

TEST_F(GenerateServiceTest, FaultsAreToldByTheirPlaces) {
  std::string long_text;
  for (int i = 0; i < 100; ++i) long_text += "the cat ";
  struct Row {
    std::function<void(pb::EngineGenerateRequest&)> change;
    std::string field;
  };
  const auto set = [](auto member) {
    return [member](pb::EngineGenerateRequest& r) { member(*r.mutable_generation()); };
  };
  using Settings = graft::v1::GenerationSettings;
  const std::vector<Row> rows = {
      {set([](Settings& s) { s.set_max_tokens(0); }), "generation.max_tokens"},
      {set([](Settings& s) { s.set_max_tokens(INT64_MAX); }), "generation.max_tokens"},
      {set([](Settings& s) { s.set_min_tokens(-1); }), "generation.min_tokens"},
      {set([](Settings& s) { s.set_temperature(NAN); }), "generation.temperature"},
      {set([](Settings& s) { s.set_temperature(-1); }), "generation.temperature"},
      {set([](Settings& s) { s.set_top_p(INFINITY); }), "generation.top_p"},
      {set([](Settings& s) { s.set_top_k(-1); }), "generation.top_k"},
      {set([](Settings& s) { s.set_n(1000); }), "generation.n"},
      {set([](Settings& s) { s.set_n(65); }), "generation.n"},
      {set([](Settings& s) { s.set_logprobs(21); }), "generation.logprobs"},
      {set([](Settings& s) { s.add_stop(std::string(1 << 20, 'x')); }), "generation.stop[0]"},
      {set([](Settings& s) { s.add_stop(""); }), "generation.stop[0]"},
      {set([](Settings& s) { s.add_end_tokens(80); }), "generation.end_tokens[0]"},
      {set([](Settings& s) { s.add_logit_bias()->set_token(-1); }), "generation.logit_bias[0]"},
      {[](auto& r) { r.set_prompt(""); }, "prompt"},
      {[&](auto& r) { r.set_prompt(long_text); }, "prompt"},
      {[&](auto& r) { r = Chat(long_text); }, "chat.messages"},
      {[](auto& r) {
         r = Chat("x");
         r.mutable_chat()->mutable_messages(0)->set_role("robot");
       },
       "chat.messages[0].role"}};
  for (const Row& row : rows) {
    pb::EngineGenerateRequest request = Prompt("the cat");
    row.change(request);
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << row.field;
    EXPECT_THAT(FieldOf(answer.graft_status()), StartsWith(row.field))
        << answer.status.error_message();
  }
  EXPECT_TRUE(Generate(Prompt("the cat")).status.ok());
}

TEST_F(GenerateServiceTest, WhatGeneratesNoTextSaysSo) {
  for (pb::EngineGenerateRequest request : {Prompt("the cat"), Chat("the cat")}) {
    request.set_base("base-bert");
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(ReasonOf(answer.graft_status()), "NO_LANGUAGE_HEAD");
  }
  pb::EngineGenerateRequest request = Prompt("the cat");
  request.set_base("nowhere");
  EXPECT_EQ(Generate(request).status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(GenerateServiceTest, TextsAreScoredTokenByToken) {
  pb::EngineScoreRequest request;
  request.set_base(kBase);
  auto& input = *request.add_inputs();
  input.set_prompt("the cat");
  input.set_text(" sat on the mat");
  request.add_inputs()->set_text("the");
  pb::EngineScoreResponse response;
  grpc::ClientContext context;

  const grpc::Status status = stub_->Score(&context, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.base_fingerprint(), *engine_->BaseFingerprint(kBase));
  const auto& score = response.scores(0);
  EXPECT_GT(score.prompt_tokens(), 0);
  double sum = 0;
  std::string text;
  for (const auto& token : score.tokens()) {
    EXPECT_TRUE(token.has_log_probability());
    EXPECT_LT(token.log_probability(), 0);
    sum += token.log_probability();
    text += token.text();
  }
  EXPECT_EQ(text, " sat on the mat");
  EXPECT_NEAR(score.log_probability(), sum, 1e-5);
  EXPECT_FALSE(response.scores(1).tokens(0).has_log_probability());
}

TEST_F(GenerateServiceTest, AnAdapterScoresWhatItLearnt) {
  pb::EngineScoreRequest request;
  request.add_inputs()->set_text("the cat sat on the mat and looked at the moon");
  const auto sum = [&] {
    pb::EngineScoreResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub_->Score(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return status.ok() ? response.scores(0).log_probability() : NAN;
  };
  request.set_base(kBase);
  const double plain = sum();
  *request.mutable_version() = StoreVersion();

  EXPECT_GT(sum(), plain + 10);
}

}  // namespace
}  // namespace graft::worker::agent
