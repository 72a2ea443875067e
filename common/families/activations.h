#pragma once
/// The activations that the engine computes in adapters and heads, by graft's names.

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace graft::families {

/// "gelu" is exact (erf), "gelu_new" its approximation by tanh, "leaky_relu" has the slope 0.01
/// below zero, "quick_gelu" is x * sigmoid(1.702 x).
inline constexpr std::array<std::string_view, 10> kActivations = {
    "relu",    "gelu",       "silu",  "tanh", "gelu_new",
    "sigmoid", "leaky_relu", "relu6", "mish", "quick_gelu"};

inline bool IsActivation(std::string_view name) {
  return std::find(kActivations.begin(), kActivations.end(), name) != kActivations.end();
}

/// "relu, gelu, ...": for messages.
inline std::string ActivationList() {
  std::string list;
  for (const std::string_view name : kActivations)
    list.append(list.empty() ? "" : ", ").append(name);
  return list;
}

}  // namespace graft::families
