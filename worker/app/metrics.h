#pragma once
/// The worker's /metrics: what the engine counts, under the designed names.

#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "worker/engine/engine.h"

namespace prometheus {
class Exposer;
}

namespace graft::worker::app {

/// Thread safety: thread-safe.
class Metrics {
 public:
  /// Listens on `address` ("127.0.0.1:0" picks a port). `build` is the version that
  /// graft_build_info tells.
  /// Errors: Unavailable if the port is taken.
  static StatusOr<std::unique_ptr<Metrics>> Create(const std::string& address,
                                                   const std::string& build);
  ~Metrics();

  /// Hooks for the engine; they may be called after the Metrics are gone.
  engine::Engine::Probe probe();
  /// Hook for graft_swap_to_first_token_seconds: a request waited so long for its answer because
  /// its version had to be loaded. It may be called after the Metrics are gone.
  std::function<void(double seconds)> swapped();
  /// Spans of traces by what became of them.
  struct Spans {
    int64_t sent = 0, dropped = 0;
  };
  /// Reads the engine's counters, and `spans`, at each scrape from now on. Detach comes before the
  /// engine ends.
  void Attach(const engine::Engine& engine, std::function<Spans()> spans);
  void Detach();
  int port() const;

 private:
  class Collector;
  Metrics();
  std::shared_ptr<Collector> collector_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace graft::worker::app
