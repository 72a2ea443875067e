/// What a run takes beside its base, and who leaves for it.

#include "worker/engine/training/train_room.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/zero_base.h"
#include "worker/engine/methods/methods.h"
#include "worker/engine/training/train_run.h"

namespace graft::worker::engine {
namespace {

using graft::testing::Must;

constexpr spec::LargestPass kPass = {.tokens = 800, .wanted = 790};

class TrainRoomTest : public ::testing::Test {
 protected:
  TrainRoomTest() : folder_(*TempFolder::Create()) {
    const auto golden = std::filesystem::path(testing::DecoderFolder()) / "base-llama";
    testing::WriteZeroBase(golden, folder_.path() / "llama");
    input_.base = Must(Base::Load("llama", folder_.path() / "llama", at::kFloat, at::kCPU));
    spec::JobSpec spec;
    spec.task.kind = tasks::Kind::kCausalLanguageModeling;
    spec.method =
        Must(Must(methods::ParseMethod("lora", {{"rank", 4}}))->Resolve(input_.base->layout()));
    input_.request.spec = std::make_shared<const spec::JobSpec>(std::move(spec));
    whole_ = RoomFor(input_, kPass, Tape::kWhole);
    inputs_ = RoomFor(input_, kPass, Tape::kInputs);
    EXPECT_GT(whole_, inputs_);
  }

  /// A ledger of so many bytes, in which idle things have these; the last leaves first.
  void Open(int64_t budget, const std::vector<int64_t>& idle) {
    input_.ledger = Ledger::Create({.budget = budget});
    for (const int64_t bytes : idle)
      idle_.push_back(Must(input_.ledger->Reserve(MemoryKind::kBase, bytes, "an idle base")));
    input_.ledger->SetReclaim([this](int64_t bytes) {
      for (; bytes > 0 && !idle_.empty(); idle_.pop_back()) bytes -= idle_.back().bytes();
    });
  }

  TempFolder folder_;
  TrainInput input_;
  int64_t whole_ = 0, inputs_ = 0;
  std::vector<Holding> idle_;
};

TEST_F(TrainRoomTest, PassesAreKeptWholeWhereThatIsFree) {
  Open(1000 + whole_, {1000});

  const TrainRoom room = Must(ReserveRoom(input_, kPass));

  EXPECT_EQ(room.tape, Tape::kWhole);
  EXPECT_EQ(room.memory.bytes(), whole_);
  EXPECT_EQ(idle_.size(), 1U);
}

TEST_F(TrainRoomTest, WhatIsIdleStaysWhereInputsFitBesideIt) {
  Open(1000 + whole_ - 1, {1000});

  const TrainRoom room = Must(ReserveRoom(input_, kPass));

  EXPECT_EQ(room.tape, Tape::kInputs);
  EXPECT_EQ(room.memory.bytes(), inputs_);
  EXPECT_EQ(input_.ledger->figures().of(MemoryKind::kTraining), inputs_);
  EXPECT_EQ(idle_.size(), 1U);
}

TEST_F(TrainRoomTest, NoMoreLeavesThanInputsNeed) {
  Open(whole_ + 999, {whole_ - inputs_, 1000});

  const TrainRoom room = Must(ReserveRoom(input_, kPass));

  EXPECT_EQ(room.tape, Tape::kInputs);
  EXPECT_EQ(room.memory.bytes(), inputs_);
  EXPECT_EQ(idle_.size(), 1U);
}

TEST_F(TrainRoomTest, WhatHadToLeaveMayMakeRoomForAll) {
  Open(whole_ + 1000, {1000, whole_ - inputs_ + 1});

  const TrainRoom room = Must(ReserveRoom(input_, kPass));

  EXPECT_EQ(room.tape, Tape::kWhole);
  EXPECT_EQ(room.memory.bytes(), whole_);
  EXPECT_EQ(idle_.size(), 1U);
}

TEST_F(TrainRoomTest, WhatDoesNotFitIsRefusedWithWhatItNeedsAtLeast) {
  Open(inputs_ - 1, {1000});

  const Status status = ReserveRoom(input_, kPass).status();

  EXPECT_TRUE(IsMemoryFull(status)) << status;
  EXPECT_EQ(idle_.size(), 1U) << "nobody leaves in vain";
}

}  // namespace
}  // namespace graft::worker::engine
