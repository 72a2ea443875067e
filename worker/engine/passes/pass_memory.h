#pragma once
/// Memory for a pass without gradients: asked of the ledger before it runs, given back behind it.

#include <cstdint>
#include <vector>

#include "worker/engine/device/ledger.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/batch.h"

namespace graft::worker::engine {

/// Outputs that are there at once, and what is made of them.
struct PassOutputs {
  int64_t rows = 0, width = 0;
};

/// Errors: as Ledger::Reserve.
StatusOr<Holding> ReservePass(Ledger& ledger, const Base& base,
                              const std::vector<Sequence>& sequences, const PassOutputs& outputs);

}  // namespace graft::worker::engine
