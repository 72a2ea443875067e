#pragma once
/// An adapter's tensors as passes read them that serve.

#include <span>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Copies tensors one behind the other into one buffer of `type`, which is returned, and puts the
/// copies, contiguous and from a multiple of 64 bytes on, in their places. What is read together
/// should stand together. Requires: all on one device; at least one.
at::Tensor CopyForServing(std::span<at::Tensor* const> tensors, at::ScalarType type);

}  // namespace graft::worker::engine
