#pragma once
/// What a run takes of its device's memory beside its base, and how much of a pass it can keep in
/// that. As common/spec/training_memory.h tells it: the server asks the same before it grants.

#include <cstdint>

#include "common/base/status.h"
#include "common/spec/training_memory.h"
#include "worker/engine/device/ledger.h"
#include "worker/engine/passes/layer_walk.h"

namespace graft::worker::engine {

class DataSchedule;
struct TrainInput;

struct TrainRoom {
  Holding memory;
  Tape tape = Tape::kWhole;
};

/// The run's largest micro-batch, with what its sequences share.
spec::LargestPass LargestPassOf(const TrainInput& input, const DataSchedule& schedule);

/// Bytes of parameters and moments, and of the largest pass, also of an evaluation.
int64_t RoomFor(const TrainInput& input, spec::LargestPass pass, Tape tape);

/// Bytes that it can do with, its base included: what a device must be able to give it.
int64_t LeastNeed(const TrainInput& input, const spec::LargestPass& pass);

/// Reserves for passes that are kept whole where that is free, else for their inputs alone. Only
/// for these does what is idle leave: a step over inputs takes a third longer, but a base that was
/// driven out is read again when it is asked for, and may not be had at all while the run lasts.
/// Errors: as Ledger::Reserve.
StatusOr<TrainRoom> ReserveRoom(const TrainInput& input, const spec::LargestPass& pass);

}  // namespace graft::worker::engine
