#pragma once
/// The wall between a work's code and a store's thread.

#include "server/core/store.h"

namespace graft::server::stores {

/// Runs `work`. What it throws becomes ResourceExhausted (out of memory) or Internal.
Status RunWork(const core::Store::Work& work, core::Transaction& transaction);

}  // namespace graft::server::stores
