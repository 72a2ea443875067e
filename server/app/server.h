#pragma once
/// A whole graft-server: the object graph, how it starts and how it stops. main.cc adds flags and
/// signals.

#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/otlp/tracing.h"
#include "server/app/config.h"

namespace graft::server::app {

/// Sends SIGTERM to this process once it can't go on (see failed): whoever starts it waits for
/// that. Thread safety: Start and Stop from one thread.
class Server {
 public:
  /// Starts everything; once it returns, calls are accepted and `<data>/ports.json` tells where,
  /// and `<data>/prometheus-targets.json` tells Prometheus what to scrape.
  /// Errors: a sentence that names what is wrong and what to do (a port taken, the data folder in
  /// use, ...).
  static StatusOr<std::unique_ptr<Server>> Start(const Config& config, otlp::Tracing tracing);
  /// Requires: Stop was called.
  ~Server();

  /// Stops in order: no new calls, streams end UNAVAILABLE, validation stops, calls in flight
  /// finish (up to drain_seconds), workers checkpoint and go, then the rest. What is left undone is
  /// taken up by the next start.
  void Stop();

  /// True once it can't go on, which it logged.
  bool failed() const;
  int grpc_port() const;
  int http_port() const;     ///< 0: not served.
  int metrics_port() const;  ///< 0: not served.

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace graft::server::app
