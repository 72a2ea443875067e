#pragma once
/// What families share in finding their operands.

#include <vector>

#include "common/families/layout.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/row_owner.h"

namespace graft::worker::engine {

/// The GEMM of a layer's linear layers with these roles, side by side. Requires: the layer has
/// them, all with a bias or all without.
LinearSite SiteOf(const Base& base, int64_t layer, const std::vector<families::LinearRole>& roles);

}  // namespace graft::worker::engine
