#pragma once
/// The layout of mistral. Source: transformers' configuration_mistral.py and modeling_mistral.py.

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// See ReadLayout.
StatusOr<Layout> ReadMistralLayout(const Json& config,
                                   const std::vector<std::string>& checkpoint_tensors);

}  // namespace graft::families
