#pragma once
/// The layout of bert. Source: transformers' configuration_bert.py and modeling_bert.py.

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// See ReadLayout.
StatusOr<Layout> ReadBertLayout(const Json& config,
                                const std::vector<std::string>& checkpoint_tensors);

}  // namespace graft::families
