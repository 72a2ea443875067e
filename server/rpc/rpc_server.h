#pragma once
/// The gRPC servers: the public API on TCP, and the workers' Coordinator on a Unix socket (and on
/// TCP with a token). Two servers, because at shutdown the API stops first and workers need the
/// Coordinator for their last words.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/server.h>

#include "common/base/status.h"
#include "server/rpc/grpc_services.h"

namespace graft::server::rpc {

class RpcServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";  ///< Of the public API.
    std::string unix_socket;             ///< Path; empty: none.
    std::string worker_token;            ///< Lets workers in on `listen`; empty: nobody.
    int max_message_bytes = 4 << 20;     ///< Of one request; larger things come in streams.
  };

  /// Starts listening. Health is NOT_SERVING until SetServing(true).
  /// Errors: Unavailable if an address can't be listened on, naming it.
  static StatusOr<std::unique_ptr<RpcServer>> Start(const Options& options, calls::CallHost& host,
                                                    service::Services& services);
  ~RpcServer();

  int port() const { return port_; }
  void SetServing(bool serving);

  /// Stops the public API: no new calls, waits for those in flight, after `grace` cancels them.
  /// Blocks; not on the io thread, which must go on running.
  void StopPublic(std::chrono::milliseconds grace);
  /// The same for the workers' socket.
  void StopInternal(std::chrono::milliseconds grace);

 private:
  RpcServer() = default;

  std::vector<std::unique_ptr<grpc::Service>> public_services_;
  std::vector<std::unique_ptr<grpc::Service>> internal_services_;
  std::unique_ptr<grpc::Server> public_;
  std::unique_ptr<grpc::Server> internal_;
  int port_ = 0;
};

}  // namespace graft::server::rpc
