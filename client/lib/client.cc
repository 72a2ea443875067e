#include "client/lib/client.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "common/base/utf8.h"
#include "proto/grpc_status.h"
#include "proto/grpc_trace.h"

namespace graft::client {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kFirstPause = 100ms;

bool IsTransient(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE;
}

/// True if it was gRPC that failed, false if a server refused: its errors have details.
bool WasAway(const grpc::Status& status) { return status.error_details().empty(); }

}  // namespace

StatusOr<std::unique_ptr<Client>> Client::Create(ClientOptions options) {
  const bool is_unix = options.server.starts_with("unix:");
  const size_t colon = options.server.rfind(':');
  if (!is_unix &&
      (colon == std::string::npos || colon == 0 || colon + 1 == options.server.size() ||
       options.server.find_first_not_of("0123456789", colon + 1) != std::string::npos)) {
    return InvalidArgumentError(Quoted(options.server) + " is no server address; use HOST:PORT");
  }
  return std::unique_ptr<Client>(new Client(std::move(options)));
}

Client::Client(ClientOptions options) : options_(std::move(options)) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Also what an attempt to connect may take; a busy machine needs more than an instant for it.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Embeddings of 256 texts may take more than gRPC's 4 MiB.
  arguments.SetMaxReceiveMessageSize(64 << 20);
  // A watch may be silent for long; a dead connection must still be noticed.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  channel_ =
      grpc::CreateCustomChannel(options_.server, grpc::InsecureChannelCredentials(), arguments);
  jobs_ = graft::v1::FinetuningService::NewStub(channel_);
  adapters_ = graft::v1::AdapterService::NewStub(channel_);
  inference_ = graft::v1::InferenceService::NewStub(channel_);
  bases_ = graft::v1::BaseModelService::NewStub(channel_);
  datasets_ = graft::v1::DatasetService::NewStub(channel_);
  workers_ = graft::v1::WorkerService::NewStub(channel_);
}

void Client::Prepare(grpc::ClientContext& context, std::chrono::milliseconds timeout) const {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  if (!options_.token.empty()) context.AddMetadata("authorization", "Bearer " + options_.token);
  proto::AddTrace(options_.trace, context);
}

Status Client::Convert(const grpc::Status& status) const {
  Status converted = proto::FromGrpcStatus(status);
  // gRPC itself says UNAVAILABLE without our details when there is no connection.
  if (IsTransient(status) && WasAway(status)) {
    return UnavailableError("no server can be reached at " + options_.server +
                            "; is graft-server running? (" + status.error_message() + ")")
        .AddDetail({"UNREACHABLE", {}, 0, {}, {}});
  }
  // And this of a message beyond the limit, its own or the answer's.
  if (converted.code() == StatusCode::kResourceExhausted && status.error_details().empty() &&
      status.error_message().find("larger than max") != std::string::npos) {
    return ResourceExhaustedError(
               "the request or its answer is too large for one message; send less at a time (" +
               status.error_message() + ")")
        .AddDetail({"MESSAGE_TOO_LARGE", {}, 0, {}, {}});
  }
  return converted;
}

Status Client::ConvertLast(const grpc::Status& status, std::chrono::milliseconds timeout,
                           const Status& before) const {
  Status converted = Convert(status);
  // gRPC's own words are "Deadline Exceeded"; a server that says what it waited for has details or
  // more words.
  const bool is_own =
      converted.code() == StatusCode::kDeadlineExceeded && status.error_details().empty();
  if (!is_own) return converted;
  std::string seconds = std::to_string(static_cast<double>(timeout.count()) / 1000);
  seconds.erase(seconds.find_last_not_of('0') + 1);
  if (seconds.ends_with('.')) seconds.pop_back();
  return DeadlineExceededError(
             "deadline exceeded: no answer from " + options_.server + " within " + seconds + " s" +
             (before.ok() ? std::string() : "; before, it said: " + before.message()))
      .AddDetail({"NO_ANSWER", {}, 0, {}, {}});
}

bool IsUnreachable(const Status& status) {
  return !status.details().empty() && status.details().front().reason == "UNREACHABLE";
}

bool IsLocal(const Status& status) {
  return !status.details().empty() && status.details().front().reason == kLocalFault;
}

Status Client::Retry(std::chrono::milliseconds timeout,
                     const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  if (timeout.count() <= 0) timeout = options_.timeout;
  const auto deadline = SteadyClock::now() + timeout;
  auto pause = kFirstPause;
  Status before;
  for (int attempt = 1;; ++attempt) {
    grpc::ClientContext context;
    Prepare(context,
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()));
    const grpc::Status status = call(context);
    if (!IsTransient(status) || IsLastTry(attempt, deadline, pause))
      return ConvertLast(status, timeout, before);
    before = Convert(status);
    AwaitServer(status, pause);
  }
}

bool Client::IsLastTry(int attempt, std::chrono::steady_clock::time_point deadline,
                       std::chrono::milliseconds pause) const {
  return attempt >= options_.max_attempts || SteadyClock::now() + pause >= deadline;
}

void Client::AwaitServer(const grpc::Status& failure, std::chrono::milliseconds& pause) {
  const auto next = std::chrono::system_clock::now() + pause;
  if (!channel_->WaitForConnected(next) || !WasAway(failure)) std::this_thread::sleep_until(next);
  pause = std::min(pause * 2, std::chrono::milliseconds(2000));
}

Status Client::Watch(const std::string& job, int64_t after_event,
                     const std::function<bool(const graft::v1::JobEvent&)>& on_event,
                     const WatchOptions& options) {
  const auto begin = SteadyClock::now();
  auto pause = kFirstPause;
  bool reached = false, away = false, told = false;
  SteadyClock::time_point away_since;
  for (int attempt = 1;; ++attempt) {
    const bool connected =
        channel_->WaitForConnected(std::chrono::system_clock::now() + kFirstPause);
    grpc::ClientContext context;
    Prepare(context, 24h);
    graft::v1::WatchJobRequest request;
    request.set_name(job);
    request.set_after_event(after_event);
    const auto opened = SteadyClock::now();
    const auto reader = jobs_->WatchJob(&context, request);
    graft::v1::JobEvent event;
    while (reader->Read(&event)) {
      after_event = event.number();
      reached = true;
      away = told = false;
      pause = kFirstPause;
      if (on_event(event)) continue;
      context.TryCancel();
      (void)reader->Finish();
      return OkStatus();
    }
    const grpc::Status status = reader->Finish();
    const bool a_day_passed = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    if (!IsTransient(status) && !a_day_passed) return Convert(status);
    reached = reached || connected || !WasAway(status);
    // A job may have been quiet, but its server was there.
    if (connected && SteadyClock::now() - opened > pause) away = told = false;
    if (!reached) {
      if (IsLastTry(attempt, begin + options_.timeout, pause)) return Convert(status);
    } else if (!std::exchange(away, true) || (connected && WasAway(status))) {
      away_since = SteadyClock::now();  // A stream may have been silent for hours before it broke.
    } else if (SteadyClock::now() - away_since > options.patience) {
      return Convert(status);
    } else if (options.on_away && !std::exchange(told, true)) {
      options.on_away(Convert(status));
    }
    AwaitServer(status, pause);
  }
}

}  // namespace graft::client
