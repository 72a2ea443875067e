#pragma once
/// The model families that the engine runs.

#include <memory>

#include "worker/engine/model/base.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine {

/// The model of a base, over its weights. Errors: Unimplemented if the engine has none for the
/// base's family.
StatusOr<std::unique_ptr<Model>> MakeModel(const Base& base);

}  // namespace graft::worker::engine
