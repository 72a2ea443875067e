#pragma once
/// The layout of distilbert. Source: transformers' configuration_distilbert.py and
/// modeling_distilbert.py.

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// See ReadLayout.
StatusOr<Layout> ReadDistilBertLayout(const Json& config,
                                      const std::vector<std::string>& checkpoint_tensors);

}  // namespace graft::families
