#pragma once
/// The HTTP server: connections on threads of its own, each on a strand; what they ask for runs as
/// calls on the io thread, behind the same chain as gRPC's. Answers are HTTP/1.1 with keep-alive;
/// a client that wants HTTP/2 or TLS finds them in a proxy in front.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "server/calls/call.h"
#include "server/http/router.h"

namespace graft::server::http {

/// How long what may take, and how much of it there may be.
struct Limits {
  std::chrono::milliseconds idle{75'000};   ///< Between two requests.
  std::chrono::milliseconds head{10'000};   ///< From a head's first byte to its last.
  std::chrono::milliseconds stall{30'000};  ///< Without a byte of a body, or taken of an answer.
  std::chrono::milliseconds json_body{300'000};  ///< From such a body's first byte to its last.
  std::chrono::milliseconds linger{2'000};  ///< What an unread rest is waited for before a close.
  int64_t max_json_body = int64_t{16} << 20;
  int64_t max_buffered = int64_t{256} << 20;  ///< Of all bodies held whole, but 64 KiB of each.
  /// What comes beyond them takes the place of what has waited longest for its request. Fewer where
  /// the process may open fewer than twice as many files.
  size_t max_connections = 4096;
};

class HttpServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 0;
    std::vector<std::string> names;  ///< See Authorities.
    int threads = 2;
    Limits limits;
  };

  /// Starts listening. Errors: Unavailable if the address can't be listened on, naming it.
  static StatusOr<std::unique_ptr<HttpServer>> Start(Options options, calls::CallHost& host,
                                                     std::vector<Route> routes);
  ~HttpServer();

  int port() const;
  /// Takes no new connections; those that wait for a request close, the others with their answer.
  void Drain();
  /// The same, waits up to `grace` for what is in flight, then cuts it off. Blocks; not on the io
  /// thread, which must go on running. Idempotent.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Parts;
  explicit HttpServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace graft::server::http
