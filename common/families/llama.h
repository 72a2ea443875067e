#pragma once
/// The layout of llama. Source: transformers' configuration_llama.py and modeling_llama.py.

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// See ReadLayout.
StatusOr<Layout> ReadLlamaLayout(const Json& config,
                                 const std::vector<std::string>& checkpoint_tensors);

}  // namespace graft::families
