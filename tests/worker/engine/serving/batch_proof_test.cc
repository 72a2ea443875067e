/// A request's text is the same, token for token, alone and beside others of other adapters and
/// methods, in chunks, after preemption and while a job trains; greedy or drawn.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/tokenizers/tokenizer.h"
#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/serving/generate_case.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/kernels/row_products.h"

namespace graft::worker::engine {
namespace {

using testing::Answer;
using testing::Ask;

constexpr const char* kBase = "base-llama-llama3";  ///< Of 512 tokens: two chunks.
constexpr size_t kOthers = 15;

/// Strong enough that each gives other texts.
const std::vector<Json>& Methods() {
  static const auto* methods = new std::vector<Json>{
      {{"lora", {{"rank", 4}, {"alpha", 16}}}},
      {{"lora", {{"rank", 8}, {"alpha", 16}, {"target_modules", {"all-linear"}}}}},
      {{"bottleneck", {{"placement", "HOULSBY"}, {"size", 8}}}},
      {{"bottleneck", {{"placement", "PFEIFFER"}, {"size", 16}}}},
      {{"bottleneck", {{"placement", "HOULSBY"}, {"size", 4}, {"parallel", true}}}},
      {{"last_layers", {{"num_layers", 1}}}},
  };
  return *methods;
}

/// A text of some tokens of the base's, another for each seed.
std::string Prompt(int seed, int length) {
  static const auto* tokenizer = new std::shared_ptr<const tokenizers::Tokenizer>(
      *tokenizers::LoadTokenizer(testing::DecoderFolder() + "/" + kBase));
  std::vector<int32_t> ids;
  for (int i = 0; i < length; ++i) ids.push_back(10 + (seed * 31 + i * i * 17) % 60);
  return (*tokenizer)->Decode(ids, {});
}

/// (precision)
class BatchProofTest : public ::testing::TestWithParam<spec::Precision> {
 protected:
  void SetUp() override {
    const at::ScalarType type = precision() == spec::Precision::kFp32 ? at::kFloat : at::kBFloat16;
    const at::Tensor step = at::zeros({320, 8}, type);
    if (type == at::kBFloat16 && !cpu::TakesRowProducts(step, step))
      GTEST_SKIP() << "this processor's products of bf16 round by the number of rows";
    trainer_ = testing::MakeTextEngine(int64_t{1} << 28, precision());
    for (size_t i = 0; i < Methods().size(); ++i) {
      auto outcome = testing::RunJob(*trainer_, Job(i, 12));
      ASSERT_TRUE(outcome.ok()) << Methods()[i] << outcome.status();
      artifacts_.push_back(std::move(outcome->artifact));
    }
    trainer_.reset();
  }
  static spec::Precision precision() { return GetParam(); }
  static TrainRequest Job(size_t method, int steps) {
    return testing::TextJob(
        kBase, Methods()[method], Prompt(40 + static_cast<int>(method), 30),
        {{"max_steps", steps},
         {"batch_size", 4},
         {"learning_rate", 0.02},
         {"seed", method + 1},
         {"precision", precision() == spec::Precision::kFp32 ? "FP32" : "BF16"}});
  }
  std::unique_ptr<Engine> MakeEngine(int64_t max_kv_bytes = int64_t{1} << 28) const {
    auto engine = testing::MakeTextEngine(max_kv_bytes, precision());
    for (const Artifact& artifact : artifacts_) {
      const auto loaded = testing::LoadTexts(*engine, kBase, artifact);
      EXPECT_TRUE(loaded.ok() && loaded->proved) << loaded.status();
    }
    return engine;
  }
  /// Requests of each method in turn and of the base; every other one draws its tokens, some two
  /// texts.
  GenerateRequest RequestOf(size_t i, int prompt_tokens, int64_t tokens) const {
    GenerateRequest request =
        testing::Greedy(kBase, Prompt(static_cast<int>(i), prompt_tokens), tokens);
    request.settings.stopping.min_tokens = tokens;
    if (const size_t method = i % (artifacts_.size() + 1); method < artifacts_.size()) {
      request.base.clear();
      request.version = artifacts_[method].sha256;
    }
    if (i % 2 == 1) {
      request.settings.sampling.temperature = 1;
      request.settings.seed = i;
    }
    if (i % 5 == 3) request.settings.n = 2;
    return request;
  }
  std::vector<GenerateRequest> Requests(int least_prompt, int longer, int64_t tokens) const {
    std::vector<GenerateRequest> requests;
    for (size_t i = 0; i <= kOthers; ++i)
      requests.push_back(RequestOf(i, least_prompt + longer * static_cast<int>(i), tokens));
    return requests;
  }
  /// Each one's answer where nobody else is.
  std::vector<Answer> Alone(const std::vector<GenerateRequest>& requests) const {
    const auto engine = MakeEngine();
    std::vector<Answer> answers;
    for (const GenerateRequest& request : requests) {
      answers.push_back(Ask(*engine, request).get());
      EXPECT_TRUE(answers.back().status.ok()) << answers.back().status;
    }
    return answers;
  }
  /// All at once.
  static void ExpectTogether(Engine& engine, const std::vector<GenerateRequest>& requests,
                             const std::vector<Answer>& alone) {
    std::vector<std::future<Answer>> together;
    for (const GenerateRequest& request : requests) together.push_back(Ask(engine, request));
    for (size_t i = 0; i < requests.size(); ++i) {
      const Answer answer = together[i].get();
      ASSERT_TRUE(answer.status.ok()) << i << answer.status;
      EXPECT_EQ(answer.texts.size(), static_cast<size_t>(requests[i].settings.n.value_or(1)));
      EXPECT_EQ(answer.texts, alone[i].texts) << i;
    }
  }

 private:
  std::unique_ptr<Engine> trainer_;
  std::vector<Artifact> artifacts_;
};

TEST_P(BatchProofTest, BesideFifteenOthersOfOtherAdaptersAndMethods) {
  const std::vector<GenerateRequest> requests = Requests(2, 1, 16);
  const std::vector<Answer> alone = Alone(requests);

  ExpectTogether(*MakeEngine(), requests, alone);

  for (size_t i = 1; i < Methods().size(); ++i)
    EXPECT_NE(alone[i].texts.at(0).tokens, alone[i - 1].texts.at(0).tokens);
}

TEST_P(BatchProofTest, WherePromptsComeInChunks) {
  // Of 2 chunks, and more than a step has in all.
  const std::vector<GenerateRequest> requests = Requests(150, 20, 12);

  ExpectTogether(*MakeEngine(), requests, Alone(requests));
}

TEST_P(BatchProofTest, AfterPreemption) {
  const std::vector<GenerateRequest> requests = Requests(20, 3, 60);
  // 20 blocks of 16 tokens; a token has 3 layers' keys and values of 2 heads of 8.
  const int64_t element = precision() == spec::Precision::kFp32 ? 4 : 2;
  const auto engine = MakeEngine(20 * 16 * 3 * 2 * 2 * 8 * element);

  ExpectTogether(*engine, requests, Alone(requests));

  EXPECT_GT(engine->figures().preemptions, 3);
}

TEST_P(BatchProofTest, WhileAJobTrains) {
  const std::vector<GenerateRequest> requests = Requests(20, 5, 16);
  const std::vector<Answer> alone = Alone(requests);
  const auto engine = MakeEngine();
  auto is_over = std::make_shared<std::atomic<bool>>(false);
  const auto recorder = std::make_shared<testing::Recorder>(
      [=](int64_t) { return *is_over ? DesiredState::kCancel : DesiredState::kRun; });
  ASSERT_TRUE(engine->Train(Job(0, 1'000'000), recorder).ok());

  // Again until it has begun and taken a step meanwhile.
  int64_t before = 0;
  do {
    before = engine->figures().train_steps;
    ExpectTogether(*engine, requests, alone);
  } while (!HasFailure() && (before == 0 || engine->figures().train_steps == before));
  *is_over = true;
  const auto trained = recorder->Wait();
  EXPECT_TRUE(trained.ok() && trained->kind == TrainOutcome::Kind::kCancelled) << trained.status();
}

INSTANTIATE_TEST_SUITE_P(Precisions, BatchProofTest,
                         ::testing::Values(spec::Precision::kFp32, spec::Precision::kBf16),
                         [](const auto& param) {
                           return param.param == spec::Precision::kFp32 ? "fp32" : "bf16";
                         });

}  // namespace
}  // namespace graft::worker::engine
