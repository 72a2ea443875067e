#pragma once
/// The layout of qwen2. Source: transformers' configuration_qwen2.py and modeling_qwen2.py.

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// See ReadLayout.
StatusOr<Layout> ReadQwen2Layout(const Json& config,
                                 const std::vector<std::string>& checkpoint_tensors);

}  // namespace graft::families
