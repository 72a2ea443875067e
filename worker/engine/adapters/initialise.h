#pragma once
/// Initial values from graft's own counter-based generator: equal on every machine and device.

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

class Base;

/// Fills `tensor` with U(low, high). `index` tells tensors of one adapter apart.
void FillUniform(const at::Tensor& tensor, double low, double high, uint64_t seed, uint64_t index);
/// Fills `tensor` with N(0, std); values beyond `clip` standard deviations are drawn again (0: no
/// clip).
void FillNormal(const at::Tensor& tensor, double std, double clip, uint64_t seed, uint64_t index);

/// Sets every tensor of a new adapter: the method's own, head linears N(0, 0.02) with zero bias as
/// transformers does, overlays (and head layers that the base has) from the base at file precision.
/// Errors: DataLoss or NotFound if the base's checkpoint can't be read.
Status InitialiseAdapter(Adapter& adapter, const Base& base, uint64_t seed);

}  // namespace graft::worker::engine
