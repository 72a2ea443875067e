#pragma once
/// The proof that a version computes where it is served what it computed where it was trained:
/// logits over seeded token ids (never training data), kept in graft.json and computed again from
/// the stored bytes.

#include "common/base/json.h"
#include "worker/engine/caches/adapter_cache.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine {

/// Computes the probe of a trained adapter: {"seed", "lengths", "logits"}.
/// Errors: FailedPrecondition if a logit isn't finite.
StatusOr<Json> MakeProbe(const Model& model, const Base& base, const Adapter& adapter);

/// Computes `probe` again and compares: the differences' root mean square is at most 1e-4 (fp32) or
/// 5e-2 (bf16) of the logits' (at least 1). Training and serving may sum in another order, which
/// shows most in the worst of many logits and says least there. A null probe (an imported version)
/// only checks that logits are finite.
/// Errors: FailedPrecondition with the difference; InvalidArgument if the probe is malformed.
Status CheckProbe(const Json& probe, const ResidentVersion& version);

}  // namespace graft::worker::engine
