#pragma once
/// A connection to one worker's Engine service. Shared by the calls on it, so that a worker's end
/// breaks no pointer. Thread safety: confined to the io thread.

#include <memory>
#include <optional>
#include <string>

#include "common/base/status.h"
#include "graft/internal/v1/engine.pb.h"
#include "server/calls/await.h"
#include "server/calls/call.h"

namespace graft::server::background {

/// A server stream of another process. Ending a coroutine that reads, or destruction, ends it.
template <typename Reply>
class ReplyStream {
 public:
  virtual ~ReplyStream() = default;
  /// The next message; nothing at the end, which status() then tells. Not to be called behind that.
  virtual calls::Awaitable<std::optional<Reply>> Read() = 0;
  /// Of the call, with its details. Requires: Read gave nothing.
  virtual Status status() const = 0;
};

/// Calls have the deadline of the call that they are made for, and are spans below it. They resume
/// on the io thread; cancelling the caller cancels them. Errors: the worker's, with their details;
/// Unavailable if it is gone.
class EngineLink {
 public:
  template <typename Reply>
  using Answer = calls::Awaitable<StatusOr<Reply>>;

  /// `address`: what gRPC can dial, "unix:/path" or "host:port".
  EngineLink(calls::Runtime& runtime, std::string worker_id, const std::string& address);
  ~EngineLink();
  EngineLink(const EngineLink&) = delete;
  EngineLink& operator=(const EngineLink&) = delete;

  const std::string& worker_id() const { return worker_id_; }

  Answer<graft::internal::v1::EngineClassifyResponse> Classify(
      graft::internal::v1::EngineClassifyRequest request, const calls::CallContext& call);
  Answer<graft::internal::v1::EngineEmbedResponse> Embed(
      graft::internal::v1::EngineEmbedRequest request, const calls::CallContext& call);
  Answer<graft::internal::v1::EngineScoreResponse> Score(
      graft::internal::v1::EngineScoreRequest request, const calls::CallContext& call);
  Answer<graft::internal::v1::LoadVersionResponse> LoadVersion(
      graft::internal::v1::LoadVersionRequest request, const calls::CallContext& call);
  Answer<graft::internal::v1::EngineEvaluateResponse> EvaluateVersion(
      graft::internal::v1::EngineEvaluateRequest request, const calls::CallContext& call);
  /// The call has begun. Must not outlive the link.
  std::unique_ptr<ReplyStream<graft::internal::v1::EngineGenerateResponse>> Generate(
      graft::internal::v1::EngineGenerateRequest request, const calls::CallContext& call);

 private:
  struct Stub;
  /// One of the stub's unary methods.
  template <typename Reply, typename Method, typename Request>
  Answer<Reply> Ask(Method method, Request request, const calls::CallContext& call);
  tracing::ActiveSpan SpanOf(const calls::CallContext& call) const;

  calls::Runtime& runtime_;
  const std::string worker_id_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace graft::server::background
