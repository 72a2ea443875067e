#pragma once
/// Memory for a pass without gradients: asked of the ledger before it runs, given back behind it.

#include <cstdint>
#include <vector>

#include "common/spec/pass_memory.h"
#include "worker/engine/device/ledger.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/batch.h"

namespace graft::worker::engine {

/// Outputs that are there at once, and what is made of them.
struct PassOutputs {
  int64_t rows = 0, width = 0;
};

/// How a pass over the base computes so many rows.
spec::PassNumbers NumbersOf(const Base& base, int64_t rows);

/// Errors: as Ledger::Reserve.
StatusOr<Holding> ReservePass(Ledger& ledger, const Base& base,
                              const std::vector<Sequence>& sequences, const PassOutputs& outputs);

}  // namespace graft::worker::engine
