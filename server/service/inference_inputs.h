#pragma once
/// What InferenceService's methods have in common: the check of texts, and the name of what
/// answers.

#include <fmt/format.h>

#include "common/base/status.h"

namespace graft::server::service {

constexpr int kMaxInputs = 256;

/// Errors: InvalidArgument at "inputs" if there are none or too many.
inline Status CheckInputCount(int count) {
  if (count >= 1 && count <= kMaxInputs) return OkStatus();
  return InvalidArgumentError(
             fmt::format("inputs must hold 1 to {} texts, not {}", kMaxInputs, count))
      .At("inputs");
}

/// Errors: as CheckInputCount, or InvalidArgument at the first empty text.
template <typename Inputs>
Status CheckInputs(const Inputs& inputs) {
  GRAFT_RETURN_IF_ERROR(CheckInputCount(inputs.size()));
  for (int i = 0; i < inputs.size(); ++i) {
    if (inputs[i].text().empty())
      return InvalidArgumentError("a text is empty").At(fmt::format("inputs[{}].text", i));
  }
  return OkStatus();
}

}  // namespace graft::server::service
