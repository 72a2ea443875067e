#include "worker/engine/serving/generation/waiting_lane.h"

#include <gtest/gtest.h>

#include <vector>

namespace graft::worker::engine::generation {
namespace {

std::vector<uint64_t> TakeAll(WaitingLane& lane) {
  std::vector<uint64_t> taken;
  while (!lane.empty()) taken.push_back(lane.Take());
  return taken;
}

TEST(WaitingLaneTest, AnOwnersRequestsComeInTheOrderOfTheirArrival) {
  WaitingLane lane;
  for (const uint64_t request : {3, 1, 2}) lane.Add(7, request);

  EXPECT_EQ(TakeAll(lane), (std::vector<uint64_t>{3, 1, 2}));
}

TEST(WaitingLaneTest, OwnersTakeTurns) {
  WaitingLane lane;
  for (const uint64_t request : {10, 11, 12, 13}) lane.Add(1, request);
  for (const uint64_t request : {20, 21}) lane.Add(2, request);
  lane.Add(3, 30);

  EXPECT_EQ(TakeAll(lane), (std::vector<uint64_t>{10, 20, 30, 11, 21, 12, 13}));
}

TEST(WaitingLaneTest, WhoComesBackHasNoTurnBeforeThoseThatWait) {
  WaitingLane lane;
  lane.Add(1, 10);
  lane.Add(2, 20);
  EXPECT_EQ(lane.Take(), 10U);

  lane.Add(1, 11);

  EXPECT_EQ(TakeAll(lane), (std::vector<uint64_t>{20, 11}));
}

TEST(WaitingLaneTest, ARemovedRequestIsGoneAndAnOwnerWithoutOneToo) {
  WaitingLane lane;
  lane.Add(1, 10);
  lane.Add(1, 11);
  lane.Add(2, 20);

  lane.Remove(1, 10);
  lane.Remove(2, 20);
  lane.Remove(2, 20);
  lane.Remove(9, 1);

  EXPECT_EQ(TakeAll(lane), (std::vector<uint64_t>{11}));
}

}  // namespace
}  // namespace graft::worker::engine::generation
