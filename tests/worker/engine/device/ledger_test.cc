#include "worker/engine/device/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

namespace graft::worker::engine {
namespace {

using enum MemoryKind;

constexpr int64_t kMiB = int64_t{1} << 20;

std::shared_ptr<Ledger> Make(int64_t budget, int64_t for_passes = 0) {
  return Ledger::Create({.budget = budget, .for_passes = for_passes});
}

/// Unwraps or throws: gtest reports an exception as the test's failure, with its text.
Holding Must(StatusOr<Holding> holding) {
  if (!holding.ok()) throw std::runtime_error(holding.status().ToString());
  return std::move(holding).value();
}

TEST(LedgerTest, AHoldingCountsUntilItIsDestroyed) {
  const auto ledger = Make(100);
  {
    const Holding base = Must(ledger->Reserve(kBase, 60, "a base"));
    const Holding adapter = Must(ledger->Reserve(kAdapter, 10, "an adapter"));

    EXPECT_EQ(ledger->figures().of(kBase), 60);
    EXPECT_EQ(ledger->figures().of(kAdapter), 10);
    EXPECT_EQ(ledger->figures().free, 30);
  }
  EXPECT_EQ(ledger->figures().total(), 0);
  EXPECT_EQ(ledger->figures().free, 100);
  EXPECT_EQ(ledger->figures().peak, 70);
}

TEST(LedgerTest, MovingAHoldingMovesItsBytes) {
  const auto ledger = Make(100);
  Holding first = Must(ledger->Reserve(kBase, 60, "a base"));

  Holding second = std::move(first);
  Holding third = Must(ledger->Reserve(kTraining, 40, "a job"));
  third = std::move(second);

  EXPECT_EQ(third.bytes(), 60);
  EXPECT_EQ(ledger->figures().of(kBase), 60);
  EXPECT_EQ(ledger->figures().of(kTraining), 0);
}

TEST(LedgerTest, WhatDoesNotFitIsRefusedWithTheNumbers) {
  const auto ledger = Make(8 * kMiB, kMiB / 2);
  const Holding base = Must(ledger->Reserve(kBase, 41 * kMiB / 10, "a base"));
  const Holding keys = Must(ledger->Reserve(kKeysValues, kMiB, "keys"));

  const Status status = ledger->Reserve(kTraining, 31 * kMiB / 10, "the job j").status();

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(IsMemoryFull(status));
  EXPECT_EQ(status.message(),
            "the job j needs 3.1 MiB; 2.4 MiB of 8.0 MiB are free: bases have 4.1 MiB, adapters "
            "0 B, keys and values 1.0 MiB, training 0 B, passes 512.0 KiB");
  EXPECT_EQ(ledger->figures().of(kTraining), 0);
}

TEST(LedgerTest, HugeRequestsAreRefusedToo) {
  const auto ledger = Make(100);
  const Holding some = Must(ledger->Reserve(kBase, 1, "a base"));

  EXPECT_FALSE(ledger->Reserve(kBase, INT64_MAX, "all").ok());
  EXPECT_EQ(ledger->figures().total(), 1);
}

TEST(LedgerTest, AHoldingGrowsAsFarAsThereIsRoomAndShrinks) {
  const auto ledger = Make(100);
  Holding holding = Must(ledger->Reserve(kTraining, 10, "a job"));

  EXPECT_TRUE(holding.Resize(100).ok());
  EXPECT_FALSE(holding.Resize(101).ok());
  EXPECT_EQ(holding.bytes(), 100);
  EXPECT_TRUE(holding.Resize(30).ok());
  EXPECT_EQ(ledger->figures().of(kTraining), 30);
}

TEST(LedgerTest, RoomForPassesIsKeptFromAllOthers) {
  const auto ledger = Make(100, 20);

  EXPECT_EQ(ledger->capacity(), 80);
  EXPECT_FALSE(ledger->Reserve(kBase, 81, "a base").ok());
  const Holding base = Must(ledger->Reserve(kBase, 70, "a base"));
  const Holding pass = Must(ledger->Reserve(kScratch, 30, "a pass"));
  EXPECT_FALSE(ledger->Reserve(kScratch, 1, "a pass").ok());
  EXPECT_EQ(ledger->figures().free, 0);
}

TEST(LedgerTest, APassWithinItsRoomTakesNothingOfTheOthers) {
  const auto ledger = Make(100, 20);
  const Holding pass = Must(ledger->Reserve(kScratch, 15, "a pass"));

  EXPECT_EQ(ledger->figures().free, 80);
}

TEST(LedgerTest, WhatIsIdleLeavesFirstAndOnlyAsMuchAsIsMissing) {
  const auto ledger = Make(100);
  std::vector<Holding> idle;
  for (int i = 0; i < 4; ++i) idle.push_back(Must(ledger->Reserve(kAdapter, 20, "idle")));
  std::vector<int64_t> asked;
  ledger->SetReclaim([&](int64_t bytes) {
    asked.push_back(bytes);
    for (; bytes > 0 && !idle.empty(); bytes -= 20) idle.pop_back();
  });

  const Holding fits = Must(ledger->Reserve(kBase, 20, "a base"));
  EXPECT_TRUE(asked.empty());
  const Holding larger = Must(ledger->Reserve(kBase, 30, "a base"));

  EXPECT_THAT(asked, testing::ElementsAre(30));
  EXPECT_EQ(idle.size(), 2U);
  EXPECT_FALSE(ledger->Reserve(kBase, 60, "a base").ok());
  EXPECT_TRUE(idle.empty());
}

TEST(LedgerTest, WhatGrowsIfThatIsFreeDrivesOutNothing) {
  const auto ledger = Make(100);
  std::optional<Holding> idle = Must(ledger->Reserve(kAdapter, 50, "idle"));
  ledger->SetReclaim([&](int64_t) { idle.reset(); });
  Holding job = Must(ledger->Reserve(kTraining, 20, "a job"));

  EXPECT_FALSE(job.ResizeIfFree(51));
  EXPECT_EQ(job.bytes(), 20);
  EXPECT_TRUE(job.ResizeIfFree(50));
  EXPECT_EQ(ledger->figures().of(kTraining), 50);
  EXPECT_TRUE(job.ResizeIfFree(10));

  EXPECT_EQ(job.bytes(), 10);
  EXPECT_EQ(ledger->figures().free, 40);
  EXPECT_TRUE(idle.has_value());
}

TEST(LedgerTest, UpToTakesWhatIsFreeAndDrivesOutNothingForMoreThanTheLeast) {
  const auto ledger = Make(100);
  std::optional<Holding> idle = Must(ledger->Reserve(kAdapter, 50, "idle"));
  ledger->SetReclaim([&](int64_t) { idle.reset(); });

  {
    const Holding some = Must(ledger->ReserveUpTo(kKeysValues, 80, 10, "keys"));
    EXPECT_EQ(some.bytes(), 50);
    EXPECT_TRUE(idle.has_value());
  }
  {
    const Holding least = Must(ledger->ReserveUpTo(kKeysValues, 80, 60, "keys"));
    EXPECT_EQ(least.bytes(), 60);
    EXPECT_FALSE(idle.has_value());
  }
  EXPECT_EQ(Must(ledger->ReserveUpTo(kKeysValues, 80, 10, "keys")).bytes(), 80);
  EXPECT_FALSE(ledger->ReserveUpTo(kKeysValues, 200, 101, "keys").ok());
}

TEST(LedgerTest, WhatOtherProcessesTakeIsNotFree) {
  int64_t attainable = 70;
  const auto ledger =
      Ledger::Create({.budget = 100, .for_passes = 10, .attainable = [&] { return attainable; }});
  const Holding base = Must(ledger->Reserve(kBase, 30, "a base"));

  EXPECT_EQ(ledger->figures().free, 30);
  const Status status = ledger->Reserve(kBase, 31, "another").status();
  EXPECT_THAT(status.message(), testing::EndsWith("; other processes leave this one 70 B only"));
  attainable = 10;
  EXPECT_EQ(ledger->figures().free, 0);
  EXPECT_TRUE(ledger->Reserve(kScratch, 70, "a pass").ok());
}

TEST(LedgerTest, ThreadsNeverHoldMoreThanTheBudget) {
  const auto ledger = Make(100);
  const auto work = [&](MemoryKind kind) {
    for (int i = 0; i < 2000; ++i) {
      auto holding = ledger->Reserve(kind, 1 + i % 60, "work");
      if (holding.ok() && holding->Resize(60).ok() && !holding->Resize(1).ok()) std::abort();
    }
  };

  std::thread one(work, kBase), two(work, kTraining), three(work, kScratch);
  one.join();
  two.join();
  three.join();

  EXPECT_LE(ledger->figures().peak, 100);
  EXPECT_EQ(ledger->figures().total(), 0);
}

}  // namespace
}  // namespace graft::worker::engine
