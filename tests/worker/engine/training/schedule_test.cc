#include "worker/engine/training/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "common/base/random.h"
#include "worker/engine/model/needed_rows.h"

namespace graft::worker::engine {
namespace {

using MicroBatches = std::vector<std::vector<uint32_t>>;

/// `n` examples of 1 to 30 tokens.
TokenizedSplit Split(int64_t n) {
  TokenizedSplit split;
  PhiloxSequence random(5, RandomStream::kProbe);
  for (int64_t i = 0; i < n; ++i) {
    split.offsets.push_back(split.offsets.back() + 1 + random.NextBelow(30));
    split.target_offsets.push_back(split.target_offsets.back() + 1);
  }
  split.ids.resize(split.offsets.back());
  split.type_ids.resize(split.offsets.back());
  return split;
}

spec::Hyperparameters Hyper(int batch_size, int accumulation) {
  spec::Hyperparameters hp;
  hp.batch_size = batch_size;
  hp.gradient_accumulation_steps = accumulation;
  hp.epochs = 3;
  return hp;
}

/// All micro-batches of one epoch.
MicroBatches Epoch(const DataSchedule& schedule, int64_t epoch) {
  MicroBatches all;
  for (int64_t step = schedule.FirstStep(epoch); step < schedule.FirstStep(epoch + 1); ++step) {
    for (auto& one : schedule.MicroBatches(step)) all.push_back(one);
  }
  return all;
}

std::vector<uint32_t> Flat(const MicroBatches& micro_batches) {
  std::vector<uint32_t> examples;
  for (const auto& one : micro_batches) examples.insert(examples.end(), one.begin(), one.end());
  return examples;
}

std::vector<uint32_t> Sorted(std::vector<uint32_t> examples) {
  std::sort(examples.begin(), examples.end());
  return examples;
}

std::vector<uint32_t> UpTo(uint32_t n) {
  std::vector<uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

int64_t Tokens(const TokenizedSplit& split, const std::vector<uint32_t>& examples) {
  int64_t tokens = 0;
  for (const uint32_t example : examples) tokens += split.length(example);
  return tokens;
}

TEST(DataScheduleTest, EveryExampleComesOnceAnEpoch) {
  const TokenizedSplit split = Split(23);
  for (const int accumulation : {1, 2, 4, 100}) {
    const DataSchedule schedule(split, Hyper(4, accumulation));
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      EXPECT_EQ(Sorted(Flat(Epoch(schedule, epoch))), UpTo(23))
          << accumulation << " epoch " << epoch;
    }
  }
}

TEST(DataScheduleTest, MicroBatchesAreFullButTheLast) {
  const TokenizedSplit split = Split(23);
  const MicroBatches epoch = Epoch(DataSchedule(split, Hyper(4, 1)), 0);

  ASSERT_EQ(epoch.size(), 6U);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(epoch[i].size(), 4U);
  EXPECT_EQ(epoch[5].size(), 3U);
}

TEST(DataScheduleTest, AStepTakesSeveralMicroBatchesAndAnEpochsLastStepTheRest) {
  const TokenizedSplit split = Split(23);
  const DataSchedule schedule(split, Hyper(4, 4));

  EXPECT_EQ(schedule.FirstStep(1), 2);
  EXPECT_EQ(schedule.FirstStep(2), 4);
  EXPECT_EQ(schedule.MicroBatches(0).size(), 4U);
  EXPECT_EQ(schedule.MicroBatches(1).size(), 2U);
  EXPECT_EQ(schedule.MicroBatches(2).size(), 4U);
  EXPECT_EQ(schedule.total_steps(), 6);
  EXPECT_DOUBLE_EQ(schedule.EpochAfter(3), 1.5);
}

TEST(DataScheduleTest, AccumulationRegroupsTheSameMicroBatches) {
  const TokenizedSplit split = Split(23);

  EXPECT_EQ(Epoch(DataSchedule(split, Hyper(4, 1)), 1), Epoch(DataSchedule(split, Hyper(4, 3)), 1));
}

TEST(DataScheduleTest, TheOrderDependsOnSeedAndEpochAlone) {
  const TokenizedSplit split = Split(50);
  spec::Hyperparameters other_seed = Hyper(4, 1);
  other_seed.seed += 1;
  const DataSchedule schedule(split, Hyper(4, 1));

  EXPECT_NE(Flat(Epoch(schedule, 0)), Flat(Epoch(schedule, 1)));
  EXPECT_NE(Flat(Epoch(schedule, 0)), Flat(Epoch(DataSchedule(split, other_seed), 0)));
  EXPECT_NE(Flat(Epoch(schedule, 0)), UpTo(50));
}

TEST(DataScheduleTest, AStepIsTheSameWhateverWasAskedBefore) {
  const TokenizedSplit split = Split(50);
  const DataSchedule walked(split, Hyper(4, 2));
  for (int64_t step = walked.total_steps() - 1; step >= 0; --step) {
    EXPECT_EQ(walked.MicroBatches(step), DataSchedule(split, Hyper(4, 2)).MicroBatches(step))
        << step;
  }
}

TEST(DataScheduleTest, MaxStepsOverrulesEpochs) {
  const TokenizedSplit split = Split(23);
  spec::Hyperparameters hp = Hyper(4, 1);
  hp.max_steps = 100;

  EXPECT_EQ(DataSchedule(split, hp).total_steps(), 100);
}

class TokenBudgetTest : public ::testing::TestWithParam<int64_t> {
 protected:
  spec::Hyperparameters Budget(double epochs) const {
    spec::Hyperparameters hp = Hyper(4, 3);
    hp.batch_tokens = GetParam();
    hp.epochs = epochs;
    return hp;
  }
};

TEST_P(TokenBudgetTest, MicroBatchesOfEveryEpochStayWithinTheBudgetAndCantTakeOneMore) {
  const TokenizedSplit split = Split(101);
  const DataSchedule schedule(split, Budget(3));

  for (int64_t number = 0; number < 8; ++number) {
    const MicroBatches epoch = Epoch(schedule, number);
    for (size_t i = 0; i < epoch.size(); ++i) {
      ASSERT_FALSE(epoch[i].empty());
      // An example longer than the budget runs alone.
      if (epoch[i].size() > 1) {
        EXPECT_LE(Tokens(split, epoch[i]), GetParam());
      }
      if (i + 1 < epoch.size()) {
        EXPECT_GT(Tokens(split, epoch[i]) + split.length(epoch[i + 1].front()), GetParam());
      }
    }
  }
}

TEST_P(TokenBudgetTest, EveryEpochHasAllExamples) {
  const TokenizedSplit split = Split(101);
  const DataSchedule schedule(split, Budget(8));

  for (int64_t epoch = 0; epoch < 8; ++epoch)
    EXPECT_EQ(Sorted(Flat(Epoch(schedule, epoch))), UpTo(101));
}

TEST_P(TokenBudgetTest, TheStepsOfAllEpochsAreTheRuns) {
  const TokenizedSplit split = Split(101);
  const DataSchedule whole(split, Budget(8));
  const DataSchedule part(split, Budget(2.5));
  const int64_t third = whole.FirstStep(3) - whole.FirstStep(2);

  EXPECT_EQ(whole.total_steps(), whole.FirstStep(8));
  EXPECT_EQ(part.total_steps(), whole.FirstStep(2) + (third + 1) / 2);
}

TEST_P(TokenBudgetTest, EpochsAreCountedByTheirOwnSteps) {
  const TokenizedSplit split = Split(101);
  const DataSchedule schedule(split, Budget(8));

  for (int64_t epoch = 0; epoch <= 8; ++epoch)
    EXPECT_DOUBLE_EQ(schedule.EpochAfter(schedule.FirstStep(epoch)), static_cast<double>(epoch));
}

TEST_P(TokenBudgetTest, AResumedRunTakesTheSameSteps) {
  const TokenizedSplit split = Split(101);
  const DataSchedule walked(split, Budget(4));
  for (int64_t step = walked.total_steps() - 1; step >= 0; step -= 7)
    EXPECT_EQ(walked.MicroBatches(step), DataSchedule(split, Budget(4)).MicroBatches(step));
}

INSTANTIATE_TEST_SUITE_P(Budgets, TokenBudgetTest, ::testing::Values(1, 20, 64, 200, 100000));

TEST(DataScheduleTest, NoMicroBatchIsLargerThanTheLargestPass) {
  const TokenizedSplit split = Split(50);
  for (const int64_t batch_tokens : {0, 20, 100}) {
    spec::Hyperparameters hp = Hyper(7, 1);
    hp.batch_tokens = batch_tokens;
    const DataSchedule schedule(split, hp);

    const spec::LargestPass largest = schedule.LargestPass(/*shares_beginnings=*/false);

    int64_t most = 0;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      for (const auto& examples : Epoch(schedule, epoch)) {
        most = std::max(most, Tokens(split, examples));
        EXPECT_LE(static_cast<int64_t>(examples.size()), largest.wanted);
      }
    }
    EXPECT_LE(most, largest.tokens);
    EXPECT_GT(most, largest.tokens / 2);
  }
}

TEST(DataScheduleTest, NoMicroBatchComputesMoreThanTheLargestPassWhereBeginningsAreShared) {
  TokenizedSplit split;
  for (int32_t s = 0; s < 40; ++s) {
    tokenizers::Encoding encoding;
    for (int32_t i = 0; i < 15 + s % 9; ++i) encoding.ids.push_back(i < 8 + s % 3 ? i : 100 + s);
    encoding.type_ids.assign(encoding.ids.size(), 0);
    const int32_t target = 1, position = static_cast<int32_t>(encoding.ids.size()) - 1;
    split.Append(encoding, {&target, 1}, {&position, 1});
  }
  for (const int64_t batch_tokens : {0, 20, 100}) {
    spec::Hyperparameters hp = Hyper(7, 1);
    hp.batch_tokens = batch_tokens;
    const DataSchedule schedule(split, hp);

    const spec::LargestPass largest = schedule.LargestPass(/*shares_beginnings=*/true);

    int64_t most = 0;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      for (const auto& examples : Epoch(schedule, epoch)) {
        std::vector<Sequence> sequences;
        for (const uint32_t example : examples) sequences.push_back(split.sequence(example));
        const PackedBatch batch =
            PackNeeded(sequences, std::vector<Owner>(sequences.size()), at::kCPU);
        most = std::max(most, batch.num_rows());
        EXPECT_LE(batch.shared ? batch.shared->places.size() : batch.num_rows(), largest.places);
      }
    }
    EXPECT_LE(most, largest.tokens);
    EXPECT_GT(most, largest.tokens * 2 / 3);
    EXPECT_EQ(largest.tokens < largest.places, batch_tokens != 20);
  }
}

}  // namespace
}  // namespace graft::worker::engine
