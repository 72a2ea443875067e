#pragma once
/// Methods that only replace base weights: last_layers and full. They do nothing at any site; the
/// pass reads their tensors through the weight overlay.

#include "worker/engine/adapters/adapter.h"

namespace graft::worker::engine {

class OverlayAdapter : public Adapter {
 public:
  using Adapter::Adapter;
  void Initialise(uint64_t /*seed*/) override {}
};

}  // namespace graft::worker::engine
