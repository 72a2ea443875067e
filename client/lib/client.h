#pragma once
/// The C++ client of graft.v1: channel, deadlines, retries, errors with their details.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <grpcpp/client_context.h>

#include "common/base/status.h"
#include "common/tracing/trace_context.h"
#include "graft/v1/adapter.grpc.pb.h"
#include "graft/v1/base_model.grpc.pb.h"
#include "graft/v1/dataset.grpc.pb.h"
#include "graft/v1/finetuning.grpc.pb.h"
#include "graft/v1/inference.grpc.pb.h"
#include "graft/v1/worker.grpc.pb.h"

namespace graft::client {

struct ClientOptions {
  std::string server = "127.0.0.1:7070";      ///< host:port or unix:/path
  std::string token;                          ///< Sent as a bearer token if set.
  tracing::SpanContext trace;                 ///< What calls are below, if it is valid.
  std::chrono::milliseconds timeout{30'000};  ///< Of a unary call, retries included.
  /// Of an upload, import, export or generation, retries included.
  std::chrono::milliseconds stream_timeout = std::chrono::minutes(30);
  int max_attempts = 5;  ///< Of a call that may be repeated, while the server answers UNAVAILABLE.
};

struct WatchOptions {
  /// How long a server that was reached may be away.
  std::chrono::milliseconds patience = std::chrono::minutes(2);
  /// Told once each time that the server goes away and isn't back at once; the watch goes on.
  std::function<void(const Status&)> on_away;
};

/// Thread safety: thread-safe.
class Client {
 public:
  /// Checks the address's form; connects at the first call.
  static StatusOr<std::unique_ptr<Client>> Create(ClientOptions options);

  /// Calls a unary method of a stub, again with backoff while the server is UNAVAILABLE and time is
  /// left. All of graft's unary methods may be repeated (creates carry a request_id). Errors: the
  /// server's, with details; UnavailableError with reason UNREACHABLE if it can't be reached at
  /// all; DeadlineExceeded with reason NO_ANSWER, which says how long it took and what the server
  /// said before, if it doesn't answer in time.
  template <typename Stub, typename Request, typename Reply>
  StatusOr<Reply> Call(Stub& stub,
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                       const Request& request, std::chrono::milliseconds timeout = {}) {
    Reply reply;
    const Status status = Retry(timeout, [&](grpc::ClientContext& context) {
      return (stub.*method)(&context, request, &reply);
    });
    if (!status.ok()) return status;
    return reply;
  }

  /// Streams a file to the server under its SHA-256, again from its start as Call does. Progress
  /// gets bytes sent so far by this try. Errors: as Call; with reason LOCAL_FAULT if the file can't
  /// be read.
  StatusOr<graft::v1::Dataset> Upload(const std::string& path,
                                      const std::function<void(int64_t)>& progress = {});

  /// Follows a job's events from `after_event` until it has ended or `on_event` returns false; a
  /// stream that breaks is taken up again behind the last event, for as long as the server is away
  /// less than `options.patience`. A server that was never reached is given up as Call does.
  Status Watch(const std::string& job, int64_t after_event,
               const std::function<bool(const graft::v1::JobEvent&)>& on_event,
               const WatchOptions& options = {});

  using Files = std::map<std::string, std::string>;
  /// Streams an adapter's files to the server, again as Call does; a header without a request_id
  /// gets one, so that a repeated import is stored once.
  StatusOr<graft::v1::AdapterVersion> Import(graft::v1::ImportAdapterRequest::Header header,
                                             const Files& files);
  /// Takes a version's files as they come.
  struct FileParts {
    /// Called before the first part, and again where they are read again from the first: what came
    /// so far doesn't count.
    std::function<void()> begin;
    /// Parts of a file follow one another. An error ends the export, with it.
    std::function<Status(const std::string& file, const std::string& bytes)> add;
  };
  /// Streams a version's files to `parts`, again as Call does. On error they are incomplete.
  StatusOr<graft::v1::AdapterVersion> Export(const std::string& adapter, bool merged,
                                             const FileParts& parts);

  /// Calls `on_part` for each part of a generated text; false ends the call, which is OK then.
  /// Until the first part it is repeated as Call does.
  Status Generate(const graft::v1::GenerateRequest& request,
                  const std::function<bool(const graft::v1::GenerateResponse&)>& on_part);

  graft::v1::FinetuningService::Stub& jobs() { return *jobs_; }
  graft::v1::AdapterService::Stub& adapters() { return *adapters_; }
  graft::v1::InferenceService::Stub& inference() { return *inference_; }
  graft::v1::BaseModelService::Stub& bases() { return *bases_; }
  graft::v1::DatasetService::Stub& datasets() { return *datasets_; }
  graft::v1::WorkerService::Stub& workers() { return *workers_; }

 private:
  explicit Client(ClientOptions options);
  Status Retry(std::chrono::milliseconds timeout,
               const std::function<grpc::Status(grpc::ClientContext&)>& call);
  /// True if no other try fits behind this one and a pause.
  bool IsLastTry(int attempt, std::chrono::steady_clock::time_point deadline,
                 std::chrono::milliseconds pause) const;
  /// Waits before another try, longer each time. A connection only comes about while someone waits
  /// for it; a server that was there and refused gets its whole pause.
  void AwaitServer(const grpc::Status& failure, std::chrono::milliseconds& pause);
  void Prepare(grpc::ClientContext& context, std::chrono::milliseconds timeout) const;
  Status Convert(const grpc::Status& status) const;
  /// The same for the end of a call that had `timeout`, of whose tries `before` was the last answer
  /// (OK: none).
  Status ConvertLast(const grpc::Status& status, std::chrono::milliseconds timeout,
                     const Status& before) const;

  const ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<graft::v1::FinetuningService::Stub> jobs_;
  std::unique_ptr<graft::v1::AdapterService::Stub> adapters_;
  std::unique_ptr<graft::v1::InferenceService::Stub> inference_;
  std::unique_ptr<graft::v1::BaseModelService::Stub> bases_;
  std::unique_ptr<graft::v1::DatasetService::Stub> datasets_;
  std::unique_ptr<graft::v1::WorkerService::Stub> workers_;
};

/// The reason in an error that this side found by itself: a file that can't be read.
inline constexpr std::string_view kLocalFault = "LOCAL_FAULT";
bool IsLocal(const Status& status);

/// True if the error says that no server was reached, rather than that one refused.
bool IsUnreachable(const Status& status);

}  // namespace graft::client
