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

}  // namespace
}  // namespace graft::server::core
