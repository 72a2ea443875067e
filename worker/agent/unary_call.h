#pragma once
/// A unary call of the Engine service, and its span.

#include <utility>

#include <grpcpp/support/server_callback.h>

#include "common/tracing/tracer.h"
#include "proto/grpc_status.h"

namespace graft::worker::agent {

/// Ownership: frees itself once gRPC is done with it, behind Finish.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryCall(tracing::ActiveSpan span) : span_(std::move(span)) {}

  const tracing::SpanContext& trace() const { return span_.context(); }
  /// Ends the call, once; any thread.
  void Finish(const grpc::Status& status) {
    span_.Fail(proto::FromGrpcStatus(status));
    span_.End();
    ServerUnaryReactor::Finish(status);
  }
  void OnDone() override { delete this; }

 private:
  tracing::ActiveSpan span_;
};

}  // namespace graft::worker::agent
