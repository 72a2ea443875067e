#pragma once
/// What the engine's kinds of request have in common. Private to the engine.

#include <cstddef>

#include "common/base/status.h"

namespace graft::worker::engine {

/// Errors: InvalidArgument at "inputs" if one request has none, or more than 256.
Status CheckInputCount(size_t count);

/// NotFound with reason VERSION_NOT_RESIDENT: the version must be loaded first.
Status NotResident();

}  // namespace graft::worker::engine
