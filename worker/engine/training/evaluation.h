#pragma once
/// Loss and figures of an adapter over a labelled split.

#include <string>
#include <vector>

#include "worker/engine/families/model.h"
#include "worker/engine/tokenized.h"
#include "worker/engine/training/layer_walk.h"
#include "worker/engine/types.h"

namespace graft::worker::engine {

/// Most tokens that an evaluation or serving pass packs; fixed, so that results don't depend on
/// load.
inline constexpr int64_t kForwardTokens = 4096;

/// Runs the split in its own order. `yield` is called between layers. Requires: at least one
/// example; labels in [0, label_names.size()).
/// Errors: FailedPrecondition if a logit isn't finite.
StatusOr<Evaluation> Evaluate(const Model& model, const Base& base, const Adapter& adapter,
                              const TokenizedSplit& split,
                              const std::vector<std::string>& label_names, const Yield& yield);

}  // namespace graft::worker::engine
