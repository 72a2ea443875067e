#include "worker/engine/caches/base_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <utility>

#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Resident(const BaseCache& cache) {
  std::vector<std::string> ids;
  for (const auto& base : cache.Resident()) ids.push_back(base->id());
  return ids;
}

int64_t BytesOf(BaseCache& cache, const std::string& id) {
  return cache.Get(id, at::kFloat)->base->bytes();
}

class BaseCacheTest : public ::testing::Test {
 protected:
  explicit BaseCacheTest(int64_t budget = int64_t{1} << 40)
      : ledger_(Ledger::Create({.budget = budget})) {}

  BaseCache Make(int64_t max_bytes, BaseCache::DropIdle drop_idle = {}) {
    return BaseCache(testing::GoldenFolder(), at::kCPU, max_bytes, ledger_,
                     {.drop_idle = std::move(drop_idle), .drop_all = {}, .count_idle = {}});
  }

  const std::shared_ptr<Ledger> ledger_;
};

TEST_F(BaseCacheTest, TheLeastRecentlyUsedBaseLeavesWhenTheBytesAreUsedUp) {
  BaseCache roomy = Make(int64_t{1} << 40);
  const int64_t both = BytesOf(roomy, "base-bert") + BytesOf(roomy, "base-distilbert");
  BaseCache exact = Make(both);
  BaseCache tight = Make(both - 1);
  for (BaseCache* cache : {&exact, &tight}) {
    ASSERT_TRUE(cache->Get("base-bert", at::kFloat).ok());
    ASSERT_TRUE(cache->Get("base-distilbert", at::kFloat).ok());
  }

  EXPECT_THAT(Resident(exact), ElementsAre("base-distilbert", "base-bert"));
  EXPECT_THAT(Resident(tight), ElementsAre("base-distilbert"));
  EXPECT_TRUE(tight.Holds("base-distilbert", at::kFloat));
  EXPECT_FALSE(tight.Holds("base-distilbert", at::kBFloat16));
  EXPECT_FALSE(tight.Holds("base-bert", at::kFloat));
}

TEST_F(BaseCacheTest, ABaseInUseStays) {
  BaseCache cache = Make(1);
  const LoadedBase in_use = *cache.Get("base-bert", at::kFloat);

  ASSERT_TRUE(cache.Get("base-distilbert", at::kFloat).ok());

  EXPECT_THAT(Resident(cache), ElementsAre("base-distilbert", "base-bert"));
}

TEST_F(BaseCacheTest, WhatIsKeptForLaterUseIsDroppedForABaseThatIsToLeave) {
  LoadedBase kept;
  BaseCache cache = Make(1, [&](const Base& base, int64_t holders) {
    if (kept.base.get() == &base && holders == 1) kept = {};
  });
  kept = *cache.Get("base-bert", at::kFloat);

  ASSERT_TRUE(cache.Get("base-distilbert", at::kFloat).ok());

  EXPECT_EQ(kept.base, nullptr);
  EXPECT_THAT(Resident(cache), ElementsAre("base-distilbert"));
}

TEST_F(BaseCacheTest, WhoeverWantsABaseNoMoreWaitsForNobodysLoad) {
  BaseCache cache = Make(int64_t{1} << 40);
  std::promise<void> loading, release;
  std::future<StatusOr<LoadedBase>> first = std::async(std::launch::async, [&] {
    bool is_first = true;
    return cache.Get("base-bert", at::kFloat, [&, is_first]() mutable {
      if (!std::exchange(is_first, false)) return OkStatus();
      loading.set_value();
      release.get_future().wait();
      return OkStatus();
    });
  });
  loading.get_future().wait();

  const auto refused = cache.Get("base-bert", at::kFloat, [] { return CancelledError("enough"); });

  EXPECT_EQ(refused.status(), CancelledError("enough")) << "while the other still loads";
  release.set_value();
  EXPECT_TRUE(first.get().ok());
}

TEST_F(BaseCacheTest, ALoadThatIsGivenUpIsBegunAgainByWhoWaitsForIt) {
  BaseCache cache = Make(int64_t{1} << 40);
  std::promise<void> loading, release;
  std::future<StatusOr<LoadedBase>> given_up = std::async(std::launch::async, [&] {
    return cache.Get("base-bert", at::kFloat, [&] {
      loading.set_value();
      release.get_future().wait();
      return CancelledError("enough");
    });
  });
  loading.get_future().wait();
  bool has_waited = false;

  const auto loaded = cache.Get("base-bert", at::kFloat, [&] {
    if (!std::exchange(has_waited, true)) release.set_value();
    return OkStatus();
  });

  EXPECT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(given_up.get().status(), CancelledError("enough"));
}

/// Versions through the public Engine, of whose bases no two fit.
class EvictionTest : public ::testing::Test {
 protected:
  void LoadAnotherBase() { ASSERT_TRUE(engine_->BaseFingerprint("base-distilbert").ok()); }

  std::unique_ptr<Engine> engine_ = testing::MakeEngine(/*max_waiting=*/4096, /*max_base_bytes=*/1);
  const VersionId first_ = testing::TrainAndLoad(*engine_, {{"lora", {{"rank", 2}}}}, 1).sha256;
  const VersionId second_ = testing::TrainAndLoad(*engine_, {{"lora", {{"rank", 2}}}}, 2).sha256;
};

TEST_F(EvictionTest, IdleVersionsLeaveWithTheirBase) {
  LoadAnotherBase();

  EXPECT_FALSE(engine_->IsResident(first_));
  EXPECT_FALSE(engine_->IsResident(second_));
}

TEST_F(EvictionTest, IdleVersionsStayWhileTheirBaseIsInUse) {
  const testing::Blocked in_use(*engine_, first_);

  LoadAnotherBase();

  EXPECT_TRUE(engine_->IsResident(first_));
  EXPECT_TRUE(engine_->IsResident(second_));
}

TEST_F(BaseCacheTest, ABaseIsHeldInTheLedgerUntilTheLastWhoHasItLetsGo) {
  BaseCache cache = Make(1);
  LoadedBase in_use = *cache.Get("base-bert", at::kFloat);
  const int64_t bytes = in_use.base->bytes();
  EXPECT_EQ(ledger_->figures().of(MemoryKind::kBase), bytes);

  const LoadedBase other = *cache.Get("base-distilbert", at::kBFloat16);
  EXPECT_EQ(ledger_->figures().of(MemoryKind::kBase), bytes + other.base->bytes());
  in_use = {};
  EXPECT_EQ(cache.EvictIdle(1), bytes);

  EXPECT_EQ(ledger_->figures().of(MemoryKind::kBase), other.base->bytes());
  EXPECT_EQ(ledger_->figures().of(MemoryKind::kScratch), 0);
}

TEST_F(BaseCacheTest, WhoUsesABaseIsTold) {
  BaseCache cache = Make(int64_t{1} << 40);
  const LoadedBase in_use = *cache.Get("base-bert", at::kFloat);
  ASSERT_TRUE(cache.Get("base-bert", at::kBFloat16).ok());

  const std::vector<BaseCache::Use> uses = cache.Uses();

  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(uses[0].compute, at::kBFloat16);
  EXPECT_TRUE(uses[0].is_idle);
  EXPECT_EQ(uses[1].compute, at::kFloat);
  EXPECT_FALSE(uses[1].is_idle);
  EXPECT_EQ(uses[1].bytes, in_use.base->bytes());
}

/// A ledger that holds base-bert in fp32 and what reading it takes, but no other base beside it.
class TightBaseCacheTest : public BaseCacheTest {
 protected:
  TightBaseCacheTest() : BaseCacheTest(kBudget) {}
  static constexpr int64_t kBudget = 320'000;
};

TEST_F(TightBaseCacheTest, ABaseThatDoesNotFitIsRefusedAndAnIdleOneLeavesForIt) {
  BaseCache cache = Make(int64_t{1} << 40);
  ledger_->SetReclaim([&](int64_t bytes) { cache.EvictIdle(bytes); });
  {
    const auto in_use = cache.Get("base-bert", at::kFloat);
    ASSERT_TRUE(in_use.ok()) << in_use.status();

    const Status refused = cache.Get("base-distilbert", at::kFloat).status();

    EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
    EXPECT_EQ(refused.message().find("the base base-distilbert needs "), 0U) << refused;
    EXPECT_EQ(ledger_->figures().of(MemoryKind::kBase), (*in_use).base->bytes());
  }
  EXPECT_TRUE(cache.Get("base-distilbert", at::kFloat).ok());
  EXPECT_THAT(Resident(cache), ElementsAre("base-distilbert"));
}

TEST_F(BaseCacheTest, AnUnknownBaseIsNamed) {
  BaseCache cache = Make(1);

  const Status status = cache.Get("no-such-base", at::kFloat).status();

  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(status.message().find("no-such-base"), std::string::npos);
}

}  // namespace
}  // namespace graft::worker::engine
