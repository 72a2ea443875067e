#pragma once
/// The worker's connection to its server's Coordinator, with deadlines; calls block their thread.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "common/base/status.h"
#include "graft/internal/v1/coordinator.grpc.pb.h"
#include "proto/grpc_trace.h"

namespace graft::worker::agent {

/// Thread safety: thread-safe.
class ServerLink {
 public:
  using Coordinator = graft::internal::v1::Coordinator;

  /// `address`: host:port or unix:/path. `token`: the server's worker token, which it asks for over
  /// TCP; may be empty.
  explicit ServerLink(const std::string& address, std::string token = {});

  /// Calls a unary method of the stub: link.Call(&Coordinator::Stub::Register, request, 10s). The
  /// call is below `trace`.
  template <typename Request, typename Reply>
  StatusOr<Reply> Call(grpc::Status (Coordinator::Stub::*method)(grpc::ClientContext*,
                                                                 const Request&, Reply*),
                       const Request& request, std::chrono::milliseconds timeout,
                       const tracing::SpanContext& trace = {}) {
    Scoped scoped(*this, timeout);
    proto::AddTrace(trace, scoped.context);
    Reply reply;
    const grpc::Status status = ((*stub_).*method)(&scoped.context, request, &reply);
    if (!status.ok()) return Convert(status);
    return reply;
  }

  /// `go_on`, if set, is asked before each part. Errors: Cancelled if it said no.
  StatusOr<std::string> GetObject(const std::string& key, const std::function<bool()>& go_on = {});
  Status PutObject(const std::string& key, const std::string& sha256, const std::string& bytes);

  /// Ends every call under way, and those to come at once, with CANCELLED.
  void Shutdown();

 private:
  struct Scoped {
    Scoped(ServerLink& link, std::chrono::milliseconds timeout);
    ~Scoped();
    ServerLink& link;
    grpc::ClientContext context;
  };
  static Status Convert(const grpc::Status& status);

  const std::string token_;
  std::unique_ptr<Coordinator::Stub> stub_;
  std::mutex mutex_;
  std::set<grpc::ClientContext*> active_;
  bool shut_down_ = false;
};

}  // namespace graft::worker::agent
