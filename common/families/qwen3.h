#pragma once
/// The layout of qwen3. Source: transformers' configuration_qwen3.py and modeling_qwen3.py.

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// See ReadLayout.
StatusOr<Layout> ReadQwen3Layout(const Json& config,
                                 const std::vector<std::string>& checkpoint_tensors);

}  // namespace graft::families
