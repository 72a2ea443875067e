#pragma once
/// One Engine.Generate call: what the engine tells goes to the caller at the caller's own speed.

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include <grpcpp/support/server_callback.h>

#include "common/tracing/tracer.h"
#include "graft/internal/v1/engine.pb.h"
#include "worker/agent/task_threads.h"
#include "worker/engine/types/types.h"

namespace graft::worker::agent {

/// The engine's thread only hands over: pieces lie here, joined where several of one sequence wait,
/// until the caller has read those before. They are bounded: a caller for whom too much lies here
/// is answered RESOURCE_EXHAUSTED, and the engine is told that nobody waits.
/// Ownership: lives until gRPC is done with it and nobody else holds it.
/// Thread safety: thread-safe.
class GenerateCall final
    : public grpc::ServerWriteReactor<graft::internal::v1::EngineGenerateResponse>,
      public std::enable_shared_from_this<GenerateCall> {
 public:
  /// What may lie here, roughly in bytes.
  static constexpr size_t kMostWaiting = size_t{1} << 20;

  /// `writers`, which must outlive the call, begin its writes.
  static std::shared_ptr<GenerateCall> Make(TaskThreads& writers,
                                            size_t most_waiting = kMostWaiting,
                                            tracing::ActiveSpan span = {});

  const tracing::SpanContext& trace() const { return span_.context(); }

  /// Nothing once the call is abandoned.
  void Push(engine::GeneratedPiece piece);
  /// Ends the call behind what was pushed; the first counts. One comes in any case.
  void End(const grpc::Status& status);
  /// True once the caller has gone, or is too slow.
  bool abandoned() const;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  using Response = graft::internal::v1::EngineGenerateResponse;

  GenerateCall(TaskThreads& writers, size_t most_waiting, tracing::ActiveSpan span)
      : writers_(writers), most_waiting_(most_waiting), span_(std::move(span)) {}
  struct Waiting {
    Response response;
    size_t bytes = 0;  ///< Roughly.
  };
  /// Adds the piece to the response of its sequence that waits, else to a new one. Requires:
  /// mutex_.
  void Append(engine::GeneratedPiece piece);
  /// Has Advance run on a writer, unless somebody will run it anyway. Requires: mutex_.
  void Wake();
  /// Begins the next write, or ends the call, if none is under way.
  void Advance();

  TaskThreads& writers_;
  const size_t most_waiting_;
  std::shared_ptr<GenerateCall> self_;  ///< Until OnDone.
  mutable std::mutex mutex_;
  // All guarded by mutex_, but that writing_ keeps current_ as it is.
  std::deque<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  Response current_;
  bool writing_ = false, woken_ = false, gone_ = false, slow_ = false, finished_ = false;
  std::optional<grpc::Status> end_;
  tracing::ActiveSpan span_;  ///< Until End.
};

}  // namespace graft::worker::agent
