#include "server/intake/estimate.h"

#include <gtest/gtest.h>

#include "common/spec/training_memory.h"

#include "../rpc/tiny_base.h"

namespace graft::server::intake {
namespace {

class EstimateTest : public testing::Test {
 protected:
  void SetUp() override {
    auto layout = families::ReadLayout(kTinyConfig, {});
    ASSERT_TRUE(layout.ok()) << layout.status();
    layout_ = *layout;
  }
  spec::JobSpec Spec(const std::string& method = R"({"lora": {"rank": 2}})") {
    auto spec = spec::FromJson(Json{{"base", "tiny"},
                                    {"adapter", "a"},
                                    {"method", Json::parse(method)},
                                    {"dataset", {{"train", "file:///x.csv"}}},
                                    {"hyperparameters", {{"batch_size", 4}, {"epochs", 2}}}});
    EXPECT_TRUE(spec.ok()) << spec.status();
    auto resolved = spec::Resolve(*spec, layout_);
    EXPECT_TRUE(resolved.ok()) << resolved.status();
    resolved->task = tasks::Classification({"no", "yes"});
    return *resolved;
  }
  core::JobFacts Run(const spec::JobSpec& spec, std::vector<int32_t> lengths,
                     Machine machine = {}) {
    core::JobFacts facts;
    TokenCounts tokens;
    tokens.train = std::move(lengths);
    Estimate(spec, layout_, tokens, machine, facts);
    return facts;
  }
  families::Layout layout_;
};

TEST_F(EstimateTest, StepsAndTokensAreCounted) {
  const core::JobFacts facts = Run(Spec(), std::vector<int32_t>(10, 7));

  EXPECT_EQ(facts.train_tokens, 70);
  EXPECT_EQ(facts.total_steps, 6) << "three batches of four an epoch, two epochs";
  EXPECT_EQ(facts.base_parameters, layout_.ParameterCount());
}

TEST_F(EstimateTest, TokensBoundMicroBatches) {
  spec::JobSpec spec = Spec();
  spec.hyperparameters.batch_tokens = 20;

  EXPECT_EQ(MicroBatches(spec.hyperparameters, {10, 10, 10}), 2);
  EXPECT_EQ(MicroBatches(spec.hyperparameters, {30, 5, 15, 1}), 3)
      << "one that is too long stands alone";
  EXPECT_EQ(MicroBatches(spec.hyperparameters, {}), 0);
}

TEST_F(EstimateTest, FullFinetuningTakesMoreOfEverything) {
  Machine machine;
  machine.gflops = 1;
  const core::JobFacts lora = Run(Spec(), std::vector<int32_t>(10, 7), machine);
  const core::JobFacts full = Run(Spec(R"({"full": {}})"), std::vector<int32_t>(10, 7), machine);

  EXPECT_GT(full.trainable_parameters, lora.trainable_parameters);
  EXPECT_GT(full.artifact_bytes, lora.artifact_bytes);
  EXPECT_GT(full.peak_memory_bytes, lora.peak_memory_bytes);
  EXPECT_GT(full.seconds, lora.seconds);
}

TEST_F(EstimateTest, WhatConversationsBeginWithIsPaidForOnceAMicroBatch) {
  layout_.causal = true;
  spec::JobSpec spec = Spec();
  spec.hyperparameters.batch_size = 10;
  spec.hyperparameters.evaluations_per_epoch = 0;
  TokenCounts tokens;
  tokens.train.assign(20, 100);
  Machine machine;
  machine.gflops = 1;
  core::JobFacts apart, alike;
  Estimate(spec, layout_, tokens, machine, apart);
  tokens.common = 80;
  Estimate(spec, layout_, tokens, machine, alike);

  // Two micro-batches of 80 + 10 x 20 tokens instead of 10 x 100.
  EXPECT_NEAR(alike.seconds / apart.seconds, 0.28, 1e-9);
  EXPECT_LT(alike.peak_memory_bytes, apart.peak_memory_bytes);
  EXPECT_EQ(alike.train_tokens, apart.train_tokens);
}

TEST_F(EstimateTest, WithoutAKnownMachineThereAreNoSeconds) {
  EXPECT_EQ(Run(Spec(), {5}).seconds, 0);
}

TEST_F(EstimateTest, JobThatDoesNotFitIsRefusedWithTheNumbers) {
  core::JobFacts facts;
  facts.peak_memory_bytes = int64_t{20} << 30;
  Machine machine;
  machine.memory_bytes = int64_t{16} << 30;

  const Status status = CheckFits(facts, machine);

  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("20.0 GiB"), std::string::npos) << status;
  EXPECT_NE(status.message().find("16.0 GiB"), std::string::npos) << status;
  EXPECT_TRUE(CheckFits(facts, Machine{}).ok()) << "an unknown machine refuses nothing";
  machine.memory_bytes = facts.peak_memory_bytes;
  EXPECT_TRUE(CheckFits(facts, machine).ok());
}

TEST_F(EstimateTest, ThePeakIsThatOfThePassThatTheEngineExpects) {
  for (const int64_t batch_tokens : {0, 40}) {
    spec::JobSpec spec = Spec();
    spec.hyperparameters.batch_tokens = batch_tokens;
    TokenCounts tokens;
    tokens.train = {30, 20, 10, 25, 12};
    const auto peak = [&] {
      core::JobFacts facts;
      Estimate(spec, layout_, tokens, {}, facts);
      return facts.peak_memory_bytes;
    };
    const auto expected = [&](const std::vector<spec::ExampleRows>& examples) {
      return spec::EstimateTrainingMemory(spec, layout_,
                                          spec::LargestPassOf(spec.hyperparameters, examples, 0),
                                          /*numbers=*/{}, /*keeps_inputs=*/false)
          .total();
    };

    EXPECT_EQ(peak(), expected({{30, 1}, {20, 1}, {10, 1}, {25, 1}, {12, 1}}));
    tokens.wanted = {5, 19, 2, 3, 4};
    EXPECT_EQ(peak(), expected({{30, 5}, {20, 19}, {10, 2}, {25, 3}, {12, 4}}));
  }
}

TEST_F(EstimateTest, AnEvaluationsPassCountsAsItsMachineComputesIt) {
  const auto peak = [&](const Machine& machine, int64_t validation) {
    core::JobFacts facts;
    TokenCounts tokens;
    tokens.train = {3};
    tokens.validation = validation;
    Estimate(Spec(), layout_, tokens, machine, facts);
    return facts.peak_memory_bytes;
  };
  const Machine bf16 = {.bf16 = true}, widens = {.bf16 = true, .widens = true};

  EXPECT_EQ(peak(widens, 0), peak(bf16, 0)) << "a step's own is about the same";
  EXPECT_GT(peak(bf16, 4000), peak(bf16, 0));
  EXPECT_GT(peak(widens, 4000), peak(bf16, 4000));
}

TEST_F(EstimateTest, SamplesCountWhereTheyTakeMoreThanAStep) {
  spec::JobSpec spec = Spec();
  const auto peak = [&](std::vector<int64_t> samples) {
    core::JobFacts facts;
    TokenCounts tokens;
    tokens.train = {100, 100, 100, 100};
    tokens.samples = std::move(samples);
    Estimate(spec, layout_, tokens, {}, facts);
    return facts.peak_memory_bytes;
  };
  layout_.max_positions = 1 << 20;

  EXPECT_EQ(peak({1}), peak({}));
  EXPECT_GT(peak({500'000}), peak({}));
}

TEST_F(EstimateTest, WhereMemoryIsShortAPassKeepsLess) {
  const std::vector<int32_t> lengths(4, 100'000);
  const core::JobFacts roomy = Run(Spec(), lengths);
  Machine machine;
  machine.memory_bytes = roomy.peak_memory_bytes - 1;

  const core::JobFacts tight = Run(Spec(), lengths, machine);

  EXPECT_LT(tight.peak_memory_bytes, roomy.peak_memory_bytes);
}

}  // namespace
}  // namespace graft::server::intake
