#include "worker/engine/training/train_room.h"

#include <algorithm>
#include <utility>

#include "worker/engine/passes/pass_memory.h"
#include "worker/engine/training/evaluation.h"
#include "worker/engine/training/train_run.h"

namespace graft::worker::engine {

spec::LargestPass LargestPassOf(const TrainInput& input, const DataSchedule& schedule) {
  return schedule.LargestPass(input.request.spec->method->SharesBeginnings(input.base->layout()));
}

int64_t RoomFor(const TrainInput& input, spec::LargestPass pass, Tape tape) {
  pass.evaluated = std::max(SplitEvaluation::LargestPass(input.validation),
                            SplitEvaluation::LargestPass(input.test));
  const Base& base = *input.base;
  const spec::TrainingMemory memory =
      spec::EstimateTrainingMemory(*input.request.spec, base.layout(), pass,
                                   NumbersOf(base, pass.evaluated), tape == Tape::kInputs);
  return std::max(memory.of_job(), memory.states + input.samples.cache_bytes);
}

int64_t LeastNeed(const TrainInput& input, const spec::LargestPass& pass) {
  return input.base->memory().tensors + RoomFor(input, pass, Tape::kInputs);
}

StatusOr<TrainRoom> ReserveRoom(const TrainInput& input, const spec::LargestPass& pass) {
  const int64_t whole = RoomFor(input, pass, Tape::kWhole);
  const int64_t least = std::min(whole, RoomFor(input, pass, Tape::kInputs));
  GRAFT_ASSIGN_OR_RETURN(Holding memory,
                         input.ledger->Reserve(MemoryKind::kTraining, least,
                                               "training on the base " + input.base->id()));
  const Tape tape = memory.ResizeIfFree(whole) ? Tape::kWhole : Tape::kInputs;
  return TrainRoom{std::move(memory), tape};
}

}  // namespace graft::worker::engine
