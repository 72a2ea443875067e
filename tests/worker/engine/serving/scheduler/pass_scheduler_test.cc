/// The scheduler on a device in virtual time.

#include "worker/engine/serving/scheduler/pass_scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace graft::worker::engine {
namespace {

constexpr int64_t kUnlimited = int64_t{1} << 40;
constexpr PassKind kLogits{1, 0}, kEmbeddings{1, 1}, kOtherBase{2, 0};
constexpr double kPassSeconds = PassSize::Limits{}.seconds;

/// Asks the scheduler for passes and keeps what they held. Each text is checked to come once.
class Simulation {
 public:
  explicit Simulation(double per_token = 25e-6, double fixed = 1e-3)
      : per_token_(per_token), fixed_(fixed) {}

  uint64_t Add(uint64_t owner, std::vector<int64_t> lengths, PassKind kind = kLogits) {
    const uint64_t id = ++last_id_;
    asked_[id] = {owner, lengths, kind};
    left_[id] = lengths.size();
    scheduler_.Add(id, {kind, owner, std::move(lengths)});
    return id;
  }
  uint64_t AddBatch(uint64_t owner, size_t texts, int64_t length, PassKind kind = kLogits) {
    return Add(owner, std::vector<int64_t>(texts, length), kind);
  }
  void Remove(uint64_t id) {
    scheduler_.Remove(id);
    left_.erase(id);
  }

  /// Runs a pass; its plan is empty if nothing waits.
  PassPlan Pass(int64_t most = kUnlimited) {
    PassPlan plan = scheduler_.NextPass(most);
    int64_t tokens = 0;
    for (const ScheduledText& text : plan.texts) {
      const auto& asked = asked_.at(text.request);
      EXPECT_EQ(asked.kind, plan.kind);
      EXPECT_TRUE(ran_.insert({text.request, text.index}).second) << "a text came twice";
      tokens += asked.lengths.at(text.index);
      served_[asked.owner] += asked.lengths.at(text.index);
      if (--left_.at(text.request) == 0) left_.erase(text.request);
    }
    EXPECT_EQ(tokens, plan.tokens);
    if (plan.texts.empty()) return plan;
    last_seconds_ = fixed_ + per_token_ * static_cast<double>(tokens);
    scheduler_.Ran(plan, last_seconds_);
    return plan;
  }
  /// Passes until `id` is answered; 100 if it isn't by then.
  int PassesUntil(uint64_t id) {
    int passes = 0;
    for (; passes < 100 && left_.contains(id); ++passes) Pass();
    return passes;
  }
  void WarmUp() {
    for (const PassKind& kind : {kLogits, kOtherBase}) {
      AddBatch(999, 200, 100, kind);
      while (scheduler_.tokens() > 0) Pass();
    }
    served_.clear();
  }

  bool Waits(uint64_t id) const { return left_.contains(id); }
  bool empty() const { return scheduler_.tokens() == 0; }
  size_t bases() const { return scheduler_.bases(); }
  int64_t served(uint64_t owner) { return served_[owner]; }
  double last_seconds() const { return last_seconds_; }
  int64_t tokens() const { return scheduler_.tokens(); }

 private:
  struct Asked {
    uint64_t owner = 0;
    std::vector<int64_t> lengths;
    PassKind kind;
  };
  const double per_token_, fixed_;
  PassScheduler scheduler_;
  uint64_t last_id_ = 0;
  double last_seconds_ = 0;
  std::map<uint64_t, Asked> asked_;
  std::map<uint64_t, size_t> left_;
  std::map<uint64_t, int64_t> served_;
  std::set<std::pair<uint64_t, size_t>> ran_;
};

TEST(PassSchedulerTest, NothingWaitsNothingIsPlanned) {
  Simulation sim;

  EXPECT_TRUE(sim.Pass().texts.empty());
  EXPECT_TRUE(sim.empty());
}

TEST(PassSchedulerTest, EachTextComesOnceAndThenNothingIsLeft) {
  Simulation sim;
  for (uint64_t owner = 1; owner <= 5; ++owner) {
    sim.AddBatch(owner, 37, static_cast<int64_t>(owner) * 31,
                 owner % 2 == 0 ? kLogits : kEmbeddings);
    sim.Add(owner, {1});
    sim.Add(owner, {1, 600, 2, 5000, 3}, kOtherBase);
  }

  while (!sim.empty()) ASSERT_FALSE(sim.Pass().texts.empty());

  for (uint64_t id = 1; id <= 15; ++id) EXPECT_FALSE(sim.Waits(id));
  EXPECT_TRUE(sim.Pass().texts.empty());
}

TEST(PassSchedulerTest, PassesTakeTheirTimeAtMostOnceTheDeviceIsKnown) {
  for (const double per_token : {5e-6, 25e-6, 100e-6, 300e-6}) {
    Simulation sim(per_token);
    sim.AddBatch(1, 2000, 30);
    for (int i = 0; i < 8; ++i) sim.Pass();
    int passes = 0;
    for (; sim.tokens() > 5000; ++passes) {
      sim.Pass();
      EXPECT_LE(sim.last_seconds(), 1.05 * kPassSeconds) << per_token;
    }
    EXPECT_GT(passes, 2) << per_token;
  }
}

TEST(PassSchedulerTest, FirstPassesAreSmallAndSoonFull) {
  Simulation sim(25e-6);
  sim.AddBatch(1, 1000, 50);

  EXPECT_LE(sim.Pass().tokens, 256);
  for (int i = 0; i < 4; ++i) sim.Pass();
  EXPECT_GE(sim.Pass().tokens, 1600);
}

TEST(PassSchedulerTest, AGiantTextIsAPassOfItsOwn) {
  Simulation sim(1e-3);
  sim.WarmUp();
  sim.Add(1, {8000, 8000, 10});

  EXPECT_EQ(sim.Pass().tokens, 8000);
  EXPECT_EQ(sim.Pass().texts.size(), 1U);
  EXPECT_EQ(sim.Pass().tokens, 10);
  EXPECT_TRUE(sim.empty());
}

TEST(PassSchedulerTest, AShortRequestBesideBatchesIsAnsweredWithinTwoPasses) {
  // Of fast and slow devices, known and unknown; beside one batch of its own adapter or many of
  // others, over its base or others.
  for (const double per_token : {1e-6, 25e-6, 400e-6, 3e-3}) {
    for (const bool known : {false, true}) {
      for (const uint64_t heavies : {1, 2, 20}) {
        for (const int passes_before : {0, 1, 2, 3}) {
          for (const PassKind& kind : {kLogits, kEmbeddings, kOtherBase}) {
            for (const uint64_t owner : {uint64_t{1}, uint64_t{77}}) {
              Simulation sim(per_token);
              if (known) sim.WarmUp();
              for (uint64_t heavy = 1; heavy <= heavies; ++heavy) {
                sim.AddBatch(heavy, 128, 512, heavy % 3 == 2 ? kOtherBase : kLogits);
                sim.AddBatch(heavy, 128, 512);
              }
              for (int i = 0; i < passes_before; ++i) sim.Pass();

              const uint64_t one = sim.Add(owner, {3}, kind);

              EXPECT_LE(sim.PassesUntil(one), 2)
                  << per_token << " known " << known << ", batches " << heavies << ", before "
                  << passes_before << ", kind " << kind.base << kind.variant << ", owner " << owner;
            }
          }
        }
      }
    }
  }
}

TEST(PassSchedulerTest, AShortRequestIsAnsweredSoonAgainAndAgain) {
  Simulation sim;
  for (uint64_t heavy = 1; heavy <= 8; ++heavy)
    sim.AddBatch(heavy, 256, 512, heavy % 2 == 0 ? kLogits : kOtherBase);

  for (int i = 0; i < 50; ++i) {
    ASSERT_LE(sim.PassesUntil(sim.Add(100, {10})), 2) << i;
    ASSERT_LE(sim.PassesUntil(sim.Add(101, {10, 12}, kEmbeddings)), 2) << i;
  }
  EXPECT_FALSE(sim.empty());
}

TEST(PassSchedulerTest, HeavyOwnersShareByTokensWhateverTheLengthOfTheirTexts) {
  Simulation sim;
  sim.WarmUp();
  sim.AddBatch(1, 256, 512);
  sim.AddBatch(2, 2000, 20);
  sim.AddBatch(3, 500, 100);

  for (int i = 0; i < 40; ++i) sim.Pass();

  const auto fair = static_cast<double>(sim.served(1) + sim.served(2) + sim.served(3)) / 3;
  for (const uint64_t owner : {1, 2, 3})
    EXPECT_NEAR(static_cast<double>(sim.served(owner)), fair, 0.1 * fair) << owner;
}

TEST(PassSchedulerTest, ManyRequestsOfOneOwnerAreNotMoreThanOneOfAnother) {
  Simulation sim;
  sim.WarmUp();
  for (int i = 0; i < 30; ++i) sim.AddBatch(1, 64, 256);
  sim.AddBatch(2, 256, 256);

  for (int i = 0; i < 30; ++i) sim.Pass();

  EXPECT_NEAR(static_cast<double>(sim.served(2)) / static_cast<double>(sim.served(1)), 1, 0.15);
}

TEST(PassSchedulerTest, LongRequestsOfOneOwnerTakeTurns) {
  Simulation sim;
  sim.WarmUp();
  const uint64_t first = sim.AddBatch(1, 256, 512);
  const uint64_t second = sim.AddBatch(1, 16, 512);

  EXPECT_LE(sim.PassesUntil(second), 12);
  EXPECT_TRUE(sim.Waits(first));
}

TEST(PassSchedulerTest, TextsLongerThanATurnDontStopAnOwner) {
  Simulation sim(1.5e-3);  // A pass has room for 128 tokens, a turn for 32.
  sim.WarmUp();
  std::vector<uint64_t> ids;
  for (const uint64_t owner : {1, 1, 2, 2}) ids.push_back(sim.AddBatch(owner, 4, 512));

  for (int i = 0; i < 12; ++i) sim.Pass();

  EXPECT_EQ(sim.tokens(), 4 * 512);
  for (int i = 0; i < 4; ++i) sim.Pass();
  EXPECT_TRUE(sim.empty());
}

TEST(PassSchedulerTest, BasesAndKindsTakeTurns) {
  Simulation sim;
  sim.WarmUp();
  for (uint64_t owner = 1; owner <= 3; ++owner) sim.AddBatch(owner, 200, 300, kLogits);
  sim.AddBatch(1, 200, 300, kEmbeddings);
  sim.AddBatch(9, 200, 300, kOtherBase);
  std::map<std::pair<uint64_t, uint64_t>, int> passes;

  for (int i = 0; i < 12; ++i) {
    const PassKind kind = sim.Pass().kind;
    ++passes[{kind.base, kind.variant}];
  }

  EXPECT_EQ(passes.size(), 3U);
  for (const auto& [kind, count] : passes) EXPECT_EQ(count, 4) << kind.first << kind.second;
}

TEST(PassSchedulerTest, AStormOfShortRequestsDoesntStopABatch) {
  for (const PassKind& kind : {kLogits, kOtherBase}) {
    // The long short ones fill whole passes of a slow device.
    for (const auto& [per_token, length] : {std::pair{25e-6, 10}, {1.5e-3, 120}}) {
      Simulation sim(per_token);
      sim.WarmUp();
      const uint64_t batch = sim.AddBatch(1, 40, 512);
      int passes = 0;
      for (; passes < 200 && sim.Waits(batch); ++passes) {
        for (uint64_t i = 0; i < 300; ++i) sim.Add(2 + i % 7, {length}, kind);
        sim.Pass();
      }
      EXPECT_LE(passes, 90) << length << " on base " << kind.base;
    }
  }
}

TEST(PassSchedulerTest, SingleTextsThatAreLongerThanAPassTakeTurnsWithBatches) {
  Simulation sim(1.5e-3);
  sim.WarmUp();
  const uint64_t batch = sim.AddBatch(1, 10, 512);
  int passes = 0;
  for (; passes < 100 && sim.Waits(batch); ++passes) {
    for (uint64_t i = 0; i < 30; ++i) sim.Add(2 + i % 3, {500});
    sim.Pass();
  }
  EXPECT_LE(passes, 4 * 10 + 4) << "one of four owners";
}

TEST(PassSchedulerTest, OnlyShortRequestsComeBetweenTheLayersOfALongText) {
  PassScheduler scheduler({.first = 100, .least = 50});
  scheduler.Add(1, {kLogits, /*owner=*/1, {300}});
  const PassPlan giant = scheduler.NextPass(kUnlimited);
  ASSERT_EQ(giant.tokens, 300);
  EXPECT_TRUE(scheduler.IsOversized(giant));
  EXPECT_TRUE(scheduler.NextBetweenLayers().texts.empty());
  scheduler.Add(2, {kLogits, 2, {300}});
  scheduler.Add(3, {kLogits, 2, {60, 60}});
  EXPECT_TRUE(scheduler.NextBetweenLayers().texts.empty()) << "both are long";
  for (uint64_t id = 4; id < 10; ++id) scheduler.Add(id, {kOtherBase, id % 2, {30}});
  scheduler.Add(10, {kLogits, 3, {100}});

  const PassPlan first = scheduler.NextBetweenLayers(), second = scheduler.NextBetweenLayers();

  EXPECT_EQ(first.kind, kLogits);
  EXPECT_EQ(first.texts, (std::vector<ScheduledText>{{10, 0}}));
  EXPECT_EQ(second.kind, kOtherBase);
  EXPECT_EQ(second.tokens, 90) << "as many as a pass holds";
  EXPECT_FALSE(scheduler.IsOversized(second));
  EXPECT_EQ(scheduler.tokens(), 300 + 120 + 90);
}

TEST(PassSchedulerTest, APassBetweenLayersTakesNoTurnOfItsKind) {
  PassScheduler scheduler({.first = 100, .least = 50});
  scheduler.Add(1, {kLogits, 1, std::vector<int64_t>(200, 300)});
  scheduler.Add(2, {kOtherBase, 2, std::vector<int64_t>(200, 50)});
  int other = 0;
  for (uint64_t pass = 0; pass < 100; ++pass) {
    const PassPlan plan = scheduler.NextPass(kUnlimited);
    other += plan.kind == kOtherBase ? 1 : 0;
    if (!scheduler.IsOversized(plan)) continue;
    scheduler.Add(10 + pass, {kOtherBase, 2, {10}});
    EXPECT_EQ(scheduler.NextBetweenLayers().kind, kOtherBase);
  }
  EXPECT_GE(other, 45) << "of two kinds each has every other pass";
}

TEST(PassSchedulerTest, AStormOfOneOwnerDoesntStopAnothersShortRequest) {
  Simulation sim;
  sim.WarmUp();
  sim.AddBatch(3, 256, 512);
  for (int i = 0; i < 4000; ++i) sim.Add(1, {20});

  EXPECT_LE(sim.PassesUntil(sim.Add(2, {20})), 2);
}

TEST(PassSchedulerTest, APassHoldsNoMoreThanItIsAllowed) {
  Simulation sim;
  sim.WarmUp();
  sim.AddBatch(1, 100, 10);

  EXPECT_EQ(sim.Pass(100).tokens, 100);
  EXPECT_EQ(sim.Pass(1).tokens, 10) << "one text it holds all the same";
  EXPECT_EQ(sim.tokens(), 890);
}

TEST(PassSchedulerTest, SmallRequestsOfManyOwnersShareOnePass) {
  Simulation sim;
  for (uint64_t owner = 1; owner <= 5; ++owner) sim.Add(5 - owner, {5, 3, 12, 4});

  const PassPlan plan = sim.Pass();

  EXPECT_EQ(plan.texts.size(), 20U);
  EXPECT_TRUE(sim.empty());
}

TEST(PassSchedulerTest, OwnersAndTheirRequestsAreNeighboursInAPass) {
  Simulation sim;
  sim.WarmUp();
  std::map<uint64_t, uint64_t> owner_of;
  for (int i = 0; i < 6; ++i) {
    const uint64_t owner = 1 + static_cast<uint64_t>(i) % 3;
    owner_of[sim.AddBatch(owner, 30, 40)] = owner;
    owner_of[sim.Add(owner, {7})] = owner;
  }

  while (!sim.empty()) {
    const PassPlan plan = sim.Pass();
    EXPECT_TRUE(std::ranges::is_sorted(plan.texts, {}, [&](const ScheduledText& text) {
      return std::make_tuple(owner_of.at(text.request), text.request, text.index);
    }));
  }
}

TEST(PassSchedulerTest, ARemovedRequestLeavesAtOnceAndTheOthersStay) {
  Simulation sim;
  sim.WarmUp();
  const uint64_t batch = sim.AddBatch(1, 256, 512);
  const uint64_t other = sim.AddBatch(2, 3, 512);
  sim.Pass();
  sim.Pass();

  sim.Remove(batch);
  sim.Remove(batch);

  EXPECT_LE(sim.PassesUntil(other), 2);
  EXPECT_TRUE(sim.empty());
  EXPECT_TRUE(sim.Pass().texts.empty());
  EXPECT_EQ(sim.PassesUntil(sim.AddBatch(1, 1, 10)), 1);
}

TEST(PassSchedulerTest, ManyBasesThatComeAndGoAreForgotten) {
  Simulation sim;
  sim.AddBatch(1, 256, 512, {0, 0});
  for (uint64_t base = 1; base <= 1000; ++base) sim.PassesUntil(sim.Add(1, {10}, {base, 0}));

  EXPECT_LE(sim.bases(), 65);
}

}  // namespace
}  // namespace graft::worker::engine
