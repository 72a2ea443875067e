// Which jobs fit a worker's memory.

#include "server/core/room.h"

#include <gtest/gtest.h>

namespace graft::server::core {
namespace {

Job Needs(int64_t bytes) {
  Job job;
  job.base = "minilm";
  job.spec_json = "{}";
  job.facts.peak_memory_bytes = bytes;
  return job;
}

TEST(RoomTest, AJobFitsIntoWhatIsFree) {
  const WorkerMemory memory{.free_bytes = 4, .most_bytes = 8, .bases_in_use = {}};

  EXPECT_EQ(RoomFor(Needs(4), memory), Room::kFits);
  EXPECT_EQ(RoomFor(Needs(5), memory), Room::kLater);
  EXPECT_EQ(RoomFor(Needs(8), memory), Room::kLater);
  EXPECT_EQ(RoomFor(Needs(9), memory), Room::kNever);
  EXPECT_EQ(RoomFor(Needs(0), memory), Room::kFits) << "nobody knows what it needs";
}

TEST(RoomTest, ABaseThatIsInUseIsntCountedTwice) {
  WorkerMemory memory{.free_bytes = 4, .most_bytes = 8, .bases_in_use = {{"minilm", false, 3}}};

  EXPECT_EQ(RoomFor(Needs(7), memory), Room::kFits);
  EXPECT_EQ(RoomFor(Needs(8), memory), Room::kLater);
  memory.bases_in_use = {{"gpt2", false, 3}};
  EXPECT_EQ(RoomFor(Needs(7), memory), Room::kLater);
}

TEST(RoomTest, ItHelpsOnlyAJobInItsPrecision) {
  WorkerMemory memory{.free_bytes = 4, .most_bytes = 8, .bases_in_use = {{"minilm", true, 3}}};
  Job job = Needs(7);
  const auto of = [](const char* precision) {
    return std::string(R"({"hyperparameters": {"precision": ")") + precision + R"("}})";
  };

  EXPECT_EQ(RoomFor(job, memory), Room::kLater) << "the worker would take fp32";
  job.spec_json = of("BF16");
  EXPECT_EQ(RoomFor(job, memory), Room::kFits);
  job.spec_json = of("AUTO");
  EXPECT_EQ(RoomFor(job, memory), Room::kLater);
  memory.prefers_bf16 = true;
  EXPECT_EQ(RoomFor(job, memory), Room::kFits);
  job.spec_json = of("FP32");
  EXPECT_EQ(RoomFor(job, memory), Room::kLater);
  job.resolved_precision = "bf16";
  EXPECT_EQ(RoomFor(job, memory), Room::kFits) << "what it began in it goes on in";
}

TEST(RoomTest, WhatIsGrantedIsntFreeAndItsBaseIsThere) {
  WorkerMemory memory{.free_bytes = 100, .most_bytes = 100, .bases_in_use = {}};
  Job job = Needs(60);
  job.facts.base_parameters = 10;

  Take(job, memory);
  EXPECT_EQ(memory.free_bytes, 40);
  Take(job, memory);

  EXPECT_EQ(memory.free_bytes, 20) << "the base's 40 are there";
}

TEST(RoomTest, APassKeepsLessWhereNotAllOfItWouldFit) {
  Job job = Needs(9);
  job.facts.fp32_memory = {.whole = 9, .least = 6};

  EXPECT_EQ(RoomFor(job, {.free_bytes = 8, .most_bytes = 9, .bases_in_use = {}}), Room::kLater);
  EXPECT_EQ(RoomFor(job, {.free_bytes = 8, .most_bytes = 8, .bases_in_use = {}}), Room::kFits);
  EXPECT_EQ(RoomFor(job, {.free_bytes = 5, .most_bytes = 8, .bases_in_use = {}}), Room::kLater);
  EXPECT_EQ(RoomFor(job, {.free_bytes = 5, .most_bytes = 5, .bases_in_use = {}}), Room::kNever);
}

TEST(RoomTest, AWorkerHoldsAJobOnItsBasesInThePrecisionInWhichItWouldRunThere) {
  Job job = Needs(9);
  job.facts.fp32_memory = {.whole = 12, .least = 9};
  job.facts.bf16_memory = {.whole = 7, .least = 5};
  const auto place = [](const char* base, int64_t most, bool bf16) {
    return WorkerPlace{.worker = "w", .bases = {base}, .most_bytes = most, .prefers_bf16 = bf16};
  };

  EXPECT_TRUE(CouldHold(job, place("minilm", 9, false)));
  EXPECT_FALSE(CouldHold(job, place("minilm", 8, false)));
  EXPECT_TRUE(CouldHold(job, place("minilm", 5, true)));
  EXPECT_FALSE(CouldHold(job, place("minilm", 4, true)));
  EXPECT_FALSE(CouldHold(job, place("gpt2", 64, true)));
  EXPECT_TRUE(CouldHold(job, place("minilm", 0, false))) << "it hasn't told";
  job.resolved_precision = "fp32";
  EXPECT_FALSE(CouldHold(job, place("minilm", 5, true))) << "what it began in it goes on in";
}

TEST(RoomTest, OnlyWorkersThatTakeJobsOnTheBaseAreHopedFor) {
  const WorkerPlace small{.worker = "small", .bases = {"minilm"}, .most_bytes = 8};
  const WorkerPlace large{.worker = "large", .bases = {"minilm"}, .most_bytes = 64};
  const WorkerPlace leaving{
      .worker = "leaving", .bases = {"minilm"}, .most_bytes = 64, .is_draining = true};
  const WorkerPlace others{.worker = "others", .bases = {"gpt2"}, .most_bytes = 64};
  const auto prospect = [](const std::vector<WorkerPlace>& places) {
    return ProspectOf(Needs(9), places);
  };

  EXPECT_EQ(prospect({small, leaving, large}), Prospect::kSome);
  EXPECT_EQ(prospect({leaving, small, others}), Prospect::kDraining);
  EXPECT_EQ(prospect({others, small}), Prospect::kNone);
  EXPECT_EQ(prospect({others}), Prospect::kUnknown);
  EXPECT_EQ(prospect({}), Prospect::kUnknown);
}

TEST(RoomTest, WhatAWorkerFoundCountsForThePrecisionInWhichItRan) {
  Job job = Needs(7);
  job.facts.fp32_memory = {.whole = 7, .least = 4};
  job.facts.bf16_memory = {.whole = 5, .least = 2};

  NoteNeed(job, /*prefers_bf16=*/true, 6);
  NoteNeed(job, /*prefers_bf16=*/false, 0);

  EXPECT_EQ(job.facts.bf16_memory.least, 6);
  EXPECT_EQ(job.facts.bf16_memory.whole, 6);
  EXPECT_EQ(job.facts.fp32_memory.least, 4);
  EXPECT_EQ(job.facts.peak_memory_bytes, 6);
}

}  // namespace
}  // namespace graft::server::core
