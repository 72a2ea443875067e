#pragma once
/// A unary call of the Engine service, and its span.

#include <utility>

#include <grpcpp/support/server_callback.h>

#include "common/base/guard.h"
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
    // Nothing may keep the call from its end.
    if (span_.is_recorded())
      static_cast<void>(Contained([&] { span_.EndWith(proto::FromGrpcStatus(status)); }));
    ServerUnaryReactor::Finish(status);
  }
  void OnDone() override { delete this; }

 private:
  tracing::ActiveSpan span_;
};

}  // namespace graft::worker::agent
