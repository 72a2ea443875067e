#pragma once
/// Kernels that meet numbers of two types: what is summed or carried in fp32, and what products
/// read in bf16.

#include <c10/util/BFloat16.h>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine::cpu {

/// Calls body(Wide{}, Narrow{}): fp32 and bf16, or one of them twice.
template <typename Body>
void WithTypes(at::ScalarType wide, at::ScalarType narrow, const Body& body) {
  if (narrow == at::kFloat && wide == at::kFloat) return body(float{}, float{});
  TORCH_CHECK(narrow == at::kBFloat16 && (wide == at::kFloat || wide == at::kBFloat16),
              "no kernel for numbers in ", wide, " and ", narrow);
  if (wide == at::kFloat) return body(float{}, c10::BFloat16{});
  body(c10::BFloat16{}, c10::BFloat16{});
}

}  // namespace graft::worker::engine::cpu
