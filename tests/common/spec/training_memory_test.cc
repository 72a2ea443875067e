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

  const LargestPass pass = LargestPassOf(Batches(2), examples);

  EXPECT_EQ(pass.tokens, 30 + 20);
  EXPECT_EQ(pass.wanted, 15 + 4) << "others than those with most tokens";
  EXPECT_EQ(LargestPassOf(Batches(100), examples).tokens, 65);
  EXPECT_EQ(LargestPassOf(Batches(2), {}).tokens, 0);
}

TEST(LargestPassTest, OfABudgetOfTokensAsManyRowsAreWantedAsFitIntoIt) {
  const std::vector<ExampleRows> classified(100, {7, 1});
  EXPECT_EQ(LargestPassOf(Batches(1, 50), classified).tokens, 50);
  EXPECT_EQ(LargestPassOf(Batches(1, 50), classified).wanted, 8) << "seven and a part";

  const std::vector<ExampleRows> chats = {{20, 5}, {20, 18}, {20, 2}, {90, 30}};
  EXPECT_EQ(LargestPassOf(Batches(1, 40), chats).wanted, 30) << "the one that stands alone";
  EXPECT_EQ(LargestPassOf(Batches(1, 40), chats).tokens, 90);
  EXPECT_EQ(LargestPassOf(Batches(1, 200), chats).wanted, 18 + 30 + 5 + 2);
}

}  // namespace
}  // namespace graft::spec
