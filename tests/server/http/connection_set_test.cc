#include "server/http/connection_set.h"

#include <chrono>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

namespace graft::server::http {
namespace {

/// Counts how it is told to end.
class FakeConnection : public Connection {
 public:
  void Start() override {}
  void Drain() override { ++drained; }
  void Close() override { ++closed; }

  int drained = 0;
  int closed = 0;
};

std::shared_ptr<FakeConnection> Fake() { return std::make_shared<FakeConnection>(); }

constexpr std::chrono::milliseconds kAtOnce{0};

TEST(ConnectionSetTest, WhoWaitsLongestMakesRoom) {
  ConnectionSet set(2);
  const auto first = Fake();
  const auto second = Fake();
  set.Add(first);
  set.Add(second);

  EXPECT_TRUE(set.Add(Fake()));

  EXPECT_EQ(first->closed, 1);
  EXPECT_EQ(second->closed, 0);
}

TEST(ConnectionSetTest, WhoWorksIsLeftAlone) {
  ConnectionSet set(2);
  const auto working = Fake();
  const auto waiting = Fake();
  set.Add(working);
  set.Add(waiting);
  set.Works(working.get());

  EXPECT_TRUE(set.Add(Fake()));

  EXPECT_EQ(working->closed, 0);
  EXPECT_EQ(waiting->closed, 1);
}

TEST(ConnectionSetTest, WhereAllWorkThereIsNoRoom) {
  ConnectionSet set(2);
  for (int i = 0; i < 2; ++i) {
    const auto working = Fake();
    set.Add(working);
    set.Works(working.get());
  }

  EXPECT_FALSE(set.Add(Fake()));
}

TEST(ConnectionSetTest, WaitingBeginsAnewBehindEachRequest) {
  ConnectionSet set(2);
  const auto used = Fake();
  const auto silent = Fake();
  set.Add(used);
  set.Add(silent);
  set.Works(used.get());
  set.Waits(used.get());

  EXPECT_TRUE(set.Add(Fake()));

  EXPECT_EQ(used->closed, 0);
  EXPECT_EQ(silent->closed, 1);
}

TEST(ConnectionSetTest, WhatWasRemovedLeavesRoom) {
  ConnectionSet set(1);
  const auto gone = Fake();
  set.Add(gone);
  set.Works(gone.get());

  set.Remove(gone.get());

  EXPECT_TRUE(set.Add(Fake()));
}

TEST(ConnectionSetTest, WhoMadeRoomMayStillSayWhatItDoes) {
  ConnectionSet set(1);
  const auto evicted = Fake();
  set.Add(evicted);
  const auto next = Fake();
  set.Add(next);

  set.Works(evicted.get());
  set.Waits(evicted.get());
  set.Remove(evicted.get());

  EXPECT_TRUE(set.Add(Fake())) << "the other still waits";
  EXPECT_EQ(next->closed, 1);
}

TEST(ConnectionSetTest, ASetKeepsItsConnections) {
  ConnectionSet set(1);
  auto kept = Fake();
  const std::weak_ptr<FakeConnection> seen = kept;
  set.Add(std::move(kept));
  ASSERT_FALSE(seen.expired());

  set.Remove(seen.lock().get());

  EXPECT_TRUE(seen.expired());
}

TEST(ConnectionSetTest, ADrainAndAnEndReachAll) {
  ConnectionSet set(2);
  const auto waiting = Fake();
  const auto working = Fake();
  set.Add(waiting);
  set.Add(working);
  set.Works(working.get());

  set.DrainAll();
  set.CloseAll();

  for (const auto& connection : {waiting, working}) {
    EXPECT_EQ(connection->drained, 1);
    EXPECT_EQ(connection->closed, 1);
  }
}

TEST(ConnectionSetTest, ASetIsEmptyOnceAllAreRemoved) {
  ConnectionSet set(2);
  EXPECT_TRUE(set.WaitUntilEmpty(kAtOnce));
  const auto last = Fake();
  set.Add(last);
  EXPECT_FALSE(set.WaitUntilEmpty(kAtOnce));

  std::thread removing([&] { set.Remove(last.get()); });

  EXPECT_TRUE(set.WaitUntilEmpty(std::chrono::seconds(20)));
  removing.join();
}

}  // namespace
}  // namespace graft::server::http
