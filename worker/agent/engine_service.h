#pragma once
/// graft.internal.v1.Engine over the engine: inference on what is resident, loading what isn't.

#include <functional>
#include <memory>
#include <string>

#include "common/tracing/tracer.h"
#include "graft/internal/v1/engine.grpc.pb.h"
#include "worker/agent/chat.h"
#include "worker/agent/generate_call.h"
#include "worker/agent/objects.h"
#include "worker/agent/task_threads.h"
#include "worker/agent/unary_call.h"
#include "worker/engine/engine.h"

namespace graft::worker::agent {

/// Thread safety: thread-safe. Handlers only hand over: to the engine, or to a thread that may
/// block on the object store.
class EngineService : public graft::internal::v1::Engine::CallbackService {
 public:
  /// Called with the time from a request's arrival to its answer if its version wasn't resident.
  using OnSwap = std::function<void(double seconds)>;

  /// `on_device_failed`: as AgentOptions has it.
  EngineService(
      engine::Engine& engine, std::shared_ptr<Objects> objects, OnSwap on_swap = {},
      std::function<void()> on_device_failed = [] {}, tracing::Tracer tracer = {})
      : engine_(engine),
        objects_(std::move(objects)),
        on_swap_(std::move(on_swap)),
        on_device_failed_(std::move(on_device_failed)),
        tracer_(std::move(tracer)) {}

  grpc::ServerUnaryReactor* Classify(
      grpc::CallbackServerContext* context,
      const graft::internal::v1::EngineClassifyRequest* request,
      graft::internal::v1::EngineClassifyResponse* response) override;
  grpc::ServerUnaryReactor* Embed(grpc::CallbackServerContext* context,
                                  const graft::internal::v1::EngineEmbedRequest* request,
                                  graft::internal::v1::EngineEmbedResponse* response) override;
  // engine_generate.cc
  grpc::ServerWriteReactor<graft::internal::v1::EngineGenerateResponse>* Generate(
      grpc::CallbackServerContext* context,
      const graft::internal::v1::EngineGenerateRequest* request) override;
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const graft::internal::v1::EngineScoreRequest* request,
                                  graft::internal::v1::EngineScoreResponse* response) override;

  grpc::ServerUnaryReactor* LoadVersion(
      grpc::CallbackServerContext* context, const graft::internal::v1::LoadVersionRequest* request,
      graft::internal::v1::LoadVersionResponse* response) override;
  grpc::ServerUnaryReactor* UnloadVersion(
      grpc::CallbackServerContext* context,
      const graft::internal::v1::UnloadVersionRequest* request,
      graft::internal::v1::UnloadVersionResponse* response) override;
  grpc::ServerUnaryReactor* EvaluateVersion(
      grpc::CallbackServerContext* context,
      const graft::internal::v1::EngineEvaluateRequest* request,
      graft::internal::v1::EngineEvaluateResponse* response) override;

 private:
  /// Of a call that is in a trace. Doesn't throw: a lack of memory costs the span alone.
  tracing::ActiveSpan SpanOf(const char* name, const grpc::CallbackServerContext& context) const;
  /// Fetches a version's files; blocks.
  StatusOr<engine::LoadRequest> Fetch(const graft::internal::v1::VersionRef& version, bool prove);
  /// Fetches and loads a version on threads that may block, and tells there how it went; one that
  /// is resident by then is loaded again only to prove it. A version whose base is in memory never
  /// waits for those whose bases are being read. `trace` is the request's.
  void Load(const graft::internal::v1::VersionRef& version, bool prove,
            const tracing::SpanContext& trace, std::function<void(Status)> then);
  /// Starts the clock of a request whose version must be loaded; call what it returns when the
  /// request was answered.
  std::function<void()> TimeSwap(const graft::internal::v1::VersionRef& version);
  /// Runs `then(OK)` once the version is resident (at once if it is), or with the reason why it
  /// can't be.
  void WhenResident(const graft::internal::v1::VersionRef& version,
                    const tracing::SpanContext& trace, std::function<void(Status)> then);

  /// The same for a version, or a plain base if it is empty: runs `then` once that is in memory.
  void WhenHeld(const graft::internal::v1::VersionRef& version, const std::string& base,
                const tracing::SpanContext& trace, std::function<void(Status)> then);
  /// A Generate call, whose request lives until it is ended.
  struct Text {
    std::shared_ptr<GenerateCall> call;
    const graft::internal::v1::EngineGenerateRequest* request = nullptr;
    std::function<void()> answered = {};  ///< Called with its first token.
    int loads = 3;  ///< So often its version is loaded, if it leaves again before it is used.
  };
  /// Has the text written once what it needs is in memory, or ends its call.
  void Begin(const Text& text);
  struct Prompted {
    engine::GenerateRequest request;
    std::vector<std::string> unread;  ///< What of a chat its template can't read, by path.
  };
  /// What the engine is asked for; renders a chat.
  StatusOr<Prompted> Prompt(const Text& text);
  /// Hands a text to the engine, and ends its call.
  void Write(const Text& text, StatusOr<Prompted> prompted);
  /// A Score call, which lives until its reactor is finished.
  struct Scoring {
    grpc::CallbackServerContext* context;
    const graft::internal::v1::EngineScoreRequest* request;
    graft::internal::v1::EngineScoreResponse* response;
    UnaryCall* reactor;
    int loads = 3;  ///< As a Text's.
  };
  /// Has the texts read once what that needs is in memory, or ends the call.
  void Begin(const Scoring& scoring);
  /// Hands the texts to the engine, and ends the call.
  void Read(const Scoring& scoring);

  engine::Engine& engine_;
  std::shared_ptr<Objects> objects_;
  /// The engine's status as gRPC's; one that says that the device is lost is passed on.
  grpc::Status Answer(const Status& status) const;

  const OnSwap on_swap_;
  const std::function<void()> on_device_failed_;
  const tracing::Tracer tracer_;
  ChatRenderer chats_;
  TaskThreads writers_{1};  ///< Begins the writes of streams.
  /// Renders chats, in seconds at worst, and reads prompts. Above those that hand over to it.
  TaskThreads prompts_{4};
  TaskThreads base_reads_{2};   ///< Apart: a base is read in seconds, a version beside it at once.
  TaskThreads tasks_{2};        ///< Below base_reads_, to which they may hand over to the last.
  TaskThreads evaluations_{1};  ///< Apart: reading their data takes long.
};

}  // namespace graft::worker::agent
