#include "common/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace graft {
namespace {

using Block = std::array<uint32_t, 4>;
constexpr uint64_t kSeed = 42;

// The known answers of the Random123 distribution (kat_vectors, philox4x32 with 10 rounds).
TEST(PhiloxTest, GivesTheKnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, IsKnownWhenCompiling) {
  static_assert(Philox4x32({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5);
}

TEST(PhiloxSequenceTest, IsTheBlocksOfItsCounterInOrder) {
  PhiloxSequence random(uint64_t{0x299f31d0} << 32 | 0xa4093822, RandomStream::kDropout,
                        uint64_t{7} << 32 | 5);

  for (uint32_t counter = 0; counter < 3; ++counter) {
    const Block block = Philox4x32({counter, 4, 5, 7}, {0xa4093822, 0x299f31d0});
    for (const uint32_t word : block) EXPECT_EQ(random.Next32(), word);
  }
}

TEST(PhiloxSequenceTest, EachOfSeedStreamAndSubstreamChangesAllOfIt) {
  const PhiloxSequence kSequences[] = {
      {1, RandomStream::kShuffle, 0},
      {2, RandomStream::kShuffle, 0},
      {uint64_t{1} << 32 | 1, RandomStream::kShuffle, 0},
      {1, RandomStream::kSplit, 0},
      {1, RandomStream::kShuffle, 1},
      {1, RandomStream::kShuffle, uint64_t{1} << 32},
  };

  std::set<uint32_t> words;
  for (PhiloxSequence sequence : kSequences) {
    for (int i = 0; i < 100; ++i) words.insert(sequence.Next32());
  }

  // 600 draws of 32 bits meet by chance with probability 4e-5; the seeds are fixed.
  EXPECT_EQ(words.size(), 600U);
}

TEST(PhiloxSequenceTest, ACopyGoesOnFromTheSamePlace) {
  PhiloxSequence random(kSeed, RandomStream::kInit);
  for (int i = 0; i < 7; ++i) random.Next32();
  PhiloxSequence copy = random;

  for (int i = 0; i < 20; ++i) EXPECT_EQ(random.Next32(), copy.Next32());
}

TEST(PhiloxSequenceTest, Next64IsLowWordFirst) {
  PhiloxSequence words(kSeed, RandomStream::kInit);
  PhiloxSequence random(kSeed, RandomStream::kInit);

  const uint64_t low = words.Next32();
  const uint64_t high = words.Next32();

  EXPECT_EQ(random.Next64(), high << 32 | low);
}

TEST(PhiloxSequenceTest, FractionsAreUniformInZeroToOne) {
  constexpr int kDraws = 100'000;
  constexpr int kBins = 100;
  PhiloxSequence random(kSeed, RandomStream::kInit);
  std::array<int, kBins> floats{};
  std::array<int, kBins> doubles{};

  for (int i = 0; i < kDraws; ++i) {
    const float f = random.NextFloat();
    const double d = random.NextDouble();
    ASSERT_TRUE(f >= 0 && f < 1 && d >= 0 && d < 1);
    ++floats[static_cast<size_t>(f * kBins)];
    ++doubles[static_cast<size_t>(d * kBins)];
  }

  // Chi square with 99 degrees of freedom: mean 99, standard deviation 14; 170 is five of them.
  for (const auto& bins : {floats, doubles}) {
    double chi_square = 0;
    for (const int count : bins) chi_square += std::pow(count - kDraws / kBins, 2);
    EXPECT_LT(chi_square / (kDraws / kBins), 170);
  }
}

TEST(PhiloxSequenceTest, NextBelowIsUniformAndInRange) {
  for (const uint32_t bound : {1U, 2U, 3U, 7U, 64U, 1000U}) {
    PhiloxSequence random(kSeed, RandomStream::kSplit, bound);
    std::vector<int> counts(bound);
    const int per_value = 200;

    for (uint32_t i = 0; i < bound * per_value; ++i) {
      const uint32_t value = random.NextBelow(bound);
      ASSERT_LT(value, bound);
      ++counts[value];
    }

    double chi_square = 0;
    for (const int count : counts) chi_square += std::pow(count - per_value, 2);
    const double freedom = bound - 1;
    EXPECT_LE(chi_square / per_value, freedom + 5 * std::sqrt(2 * freedom)) << bound;
  }
}

TEST(PhiloxSequenceTest, NextBelowHasNoBiasForAHugeBound) {
  // Of 2^32 words, word mod (3 << 30) would hit the lower third twice as often as the others.
  constexpr uint32_t kBound = 3U << 30;
  PhiloxSequence random(kSeed, RandomStream::kSplit);
  int lower_third = 0;

  for (int i = 0; i < 30'000; ++i) lower_third += random.NextBelow(kBound) < kBound / 3 ? 1 : 0;

  EXPECT_NEAR(lower_third, 10'000, 5 * std::sqrt(30'000 * (1.0 / 3) * (2.0 / 3)));
}

TEST(RandomPermutationTest, HoldsEachNumberOnce) {
  for (const uint32_t n : {0U, 1U, 2U, 3U, 10U, 1000U}) {
    std::vector<uint32_t> order = RandomPermutation(n, kSeed, RandomStream::kShuffle, 0);

    ASSERT_EQ(order.size(), n);
    std::sort(order.begin(), order.end());
    for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(order[i], i);
  }
}

TEST(RandomPermutationTest, IsFixedBySeedAndEpoch) {
  const auto order = [](uint64_t seed, uint64_t epoch) {
    return RandomPermutation(100, seed, RandomStream::kShuffle, epoch);
  };

  EXPECT_EQ(order(1, 0), order(1, 0));
  EXPECT_NE(order(1, 0), order(1, 1));
  EXPECT_NE(order(1, 0), order(2, 0));
}

// Artifact hashes depend on these orders: a change here is a change of results for everyone.
TEST(RandomPermutationTest, StaysWhatItWas) {
  EXPECT_EQ(RandomPermutation(10, 7, RandomStream::kShuffle, 1),
            (std::vector<uint32_t>{8, 4, 2, 3, 7, 9, 6, 1, 5, 0}));
}

TEST(RandomPermutationTest, EveryOrderOfFourIsAboutAsLikely) {
  std::map<std::vector<uint32_t>, int> counts;
  for (uint64_t epoch = 0; epoch < 2400; ++epoch) {
    ++counts[RandomPermutation(4, kSeed, RandomStream::kShuffle, epoch)];
  }

  ASSERT_EQ(counts.size(), 24U);
  double chi_square = 0;
  for (const auto& [order, count] : counts) chi_square += std::pow(count - 100, 2) / 100;
  EXPECT_LT(chi_square, 23 + 5 * std::sqrt(46));
}

}  // namespace
}  // namespace graft
