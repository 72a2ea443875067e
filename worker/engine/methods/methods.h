#pragma once
/// The methods that the engine trains and serves.

#include <memory>

#include "worker/engine/adapters/adapter.h"

namespace graft::worker::engine {

/// Makes the adapter of `method` (resolved for `layout`) with zero tensors.
/// Errors: Unimplemented if the engine has no half for this method.
StatusOr<std::unique_ptr<Adapter>> MakeAdapter(std::shared_ptr<const methods::MethodSpec> method,
                                               const families::Layout& layout, tasks::TaskSpec task,
                                               at::Device device);

}  // namespace graft::worker::engine
