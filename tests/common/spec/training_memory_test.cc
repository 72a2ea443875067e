#include "common/spec/training_memory.h"

#include <gtest/gtest.h>

namespace graft::spec {
namespace {

Hyperparameters Batches(int size, int64_t tokens = 0) {
  Hyperparameters hp;
  hp.batch_size = size;
  hp.batch_tokens = tokens;
  return hp;
}

TEST(LargestPassTest, TheExamplesThatHaveMostMayComeTogether) {
  const std::vector<ExampleRows> examples = {{10, 1}, {30, 2}, {20, 15}, {5, 4}};

  const LargestPass pass = LargestPassOf(Batches(2), examples, 0);

  EXPECT_EQ(pass.tokens, 30 + 20);
  EXPECT_EQ(pass.wanted, 15 + 4) << "others than those with most tokens";
  EXPECT_EQ(LargestPassOf(Batches(100), examples, 0).tokens, 65);
  EXPECT_EQ(LargestPassOf(Batches(2), {}, 0).tokens, 0);
}

TEST(LargestPassTest, OfABudgetOfTokensAsManyRowsAreWantedAsFitIntoIt) {
  const std::vector<ExampleRows> classified(100, {7, 1});
  EXPECT_EQ(LargestPassOf(Batches(1, 50), classified, 0).tokens, 50);
  EXPECT_EQ(LargestPassOf(Batches(1, 50), classified, 0).wanted, 8) << "seven and a part";

  const std::vector<ExampleRows> chats = {{20, 5}, {20, 18}, {20, 2}, {90, 30}};
  EXPECT_EQ(LargestPassOf(Batches(1, 40), chats, 0).wanted, 30) << "the one that stands alone";
  EXPECT_EQ(LargestPassOf(Batches(1, 40), chats, 0).tokens, 90);
  EXPECT_EQ(LargestPassOf(Batches(1, 200), chats, 0).wanted, 18 + 30 + 5 + 2);
}

TEST(LargestPassTest, WhatAllBeginWithIsComputedOnce) {
  const std::vector<ExampleRows> chats = {{30, 5}, {25, 9}, {20, 2}, {22, 3}};

  const LargestPass pass = LargestPassOf(Batches(3), chats, 12);

  EXPECT_EQ(pass.places, 30 + 25 + 22);
  EXPECT_EQ(pass.tokens, 30 + 25 + 22 - 2 * 12);
  EXPECT_EQ(LargestPassOf(Batches(1), chats, 12).tokens, 30);
  const LargestPass budget = LargestPassOf(Batches(1, 70), chats, 12);
  EXPECT_EQ(budget.places, 70);
  EXPECT_EQ(budget.tokens, 70 - 12) << "two of them may fill it";
  EXPECT_EQ(LargestPassOf(Batches(1, 20), chats, 12).tokens, 30);
}

TEST(CommonBeginningTest, EndsWhereAnExampleDiffersOrIsRead) {
  CommonBeginning common;
  EXPECT_EQ(common.tokens(), 0);
  common.Add(std::vector<int32_t>{1, 2, 3, 4, 5}, 4);
  EXPECT_EQ(common.tokens(), 4);
  common.Add(std::vector<int32_t>{1, 2, 3, 9, 5}, 4);
  EXPECT_EQ(common.tokens(), 3);
  common.Add(std::vector<int32_t>{1, 2, 3, 4}, 2);
  EXPECT_EQ(common.tokens(), 2);
  common.Add(std::vector<int32_t>{1}, 0);
  EXPECT_EQ(common.tokens(), 0);
  common.Add(std::vector<int32_t>{1, 2, 3}, 2);
  EXPECT_EQ(common.tokens(), 0) << "an earlier one begins otherwise";
}

/// A token's keys and values take 2 layers x (2 x 3 heads x 8) numbers.
families::Layout SmallLayout() {
  families::Layout layout;
  layout.num_layers = 2;
  layout.num_kv_heads = 3;
  layout.head_dim = 8;
  layout.max_positions = 100'000;
  return layout;
}
constexpr int64_t kTokenBytes = 2 * 2 * 3 * 8 * 2;  // In bf16.

int64_t Cache(const std::vector<int64_t>& prompts, const families::Layout& layout = SmallLayout()) {
  JobSpec spec;
  spec.task.language.sample_tokens = 10;
  return SampleCacheBytes(spec, layout, prompts, /*is_bf16=*/true);
}

TEST(SampleCacheTest, AllOfTheTextsFitInWholeBlocks) {
  EXPECT_EQ(Cache({}), 0);
  EXPECT_EQ(Cache({6}), 16 * kTokenBytes);
  EXPECT_EQ(Cache({7}), 32 * kTokenBytes);
  EXPECT_EQ(Cache({6, 7, 1}), 64 * kTokenBytes);
}

TEST(SampleCacheTest, WhatTheContextDoesntHoldIsntKept) {
  families::Layout layout = SmallLayout();
  layout.max_positions = 16;

  EXPECT_EQ(Cache({15}, layout), 16 * kTokenBytes);
}

TEST(SampleCacheTest, ManyLongTextsShareWhatIsAllowedButEachFitsAlone) {
  families::Layout layout = SmallLayout();
  layout.num_layers = 200;
  const int64_t token = 100 * kTokenBytes;

  EXPECT_LE(Cache({9990, 9990, 9990}, layout), int64_t{256} << 20);
  EXPECT_GT(Cache({9990, 9990, 9990}, layout), (int64_t{256} << 20) - 16 * token);
  EXPECT_EQ(Cache({50'000 - 10}, layout), 50'000 * token);
}

}  // namespace
}  // namespace graft::spec
