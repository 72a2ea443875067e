#include "client/lib/client.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "common/base/ids.h"
#include "common/base/sha256.h"
#include "proto/grpc_status.h"

namespace graft::client {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;
constexpr size_t kChunk = 256 << 10;
constexpr auto kTransferTimeout = 30min;

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
    return InvalidArgumentError("\"" + options.server + "\" is no server address; use HOST:PORT");
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
}

void Client::Prepare(grpc::ClientContext& context, std::chrono::milliseconds timeout) const {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  if (!options_.token.empty()) context.AddMetadata("authorization", "Bearer " + options_.token);
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

bool IsUnreachable(const Status& status) {
  return !status.details().empty() && status.details().front().reason == "UNREACHABLE";
}

bool IsLocal(const Status& status) {
  return !status.details().empty() && status.details().front().reason == kLocalFault;
}

Status Client::Retry(std::chrono::milliseconds timeout,
                     const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  const auto deadline = SteadyClock::now() + (timeout.count() > 0 ? timeout : options_.timeout);
  auto pause = 100ms;
  for (int attempt = 1;; ++attempt) {
    grpc::ClientContext context;
    Prepare(context,
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()));
    const grpc::Status status = call(context);
    if (!IsTransient(status) || attempt >= options_.max_attempts ||
        SteadyClock::now() + pause >= deadline) {
      return Convert(status);
    }
    AwaitServer(status, pause);
  }
}

void Client::AwaitServer(const grpc::Status& failure, std::chrono::milliseconds& pause) {
  const auto next = std::chrono::system_clock::now() + pause;
  if (!channel_->WaitForConnected(next) || !WasAway(failure)) std::this_thread::sleep_until(next);
  pause = std::min(pause * 2, std::chrono::milliseconds(2000));
}

StatusOr<graft::v1::Dataset> Client::Upload(const std::string& path,
                                            const std::function<void(int64_t)>& progress) {
  std::ifstream file(path, std::ios::binary);
  if (std::error_code error; !file || !std::filesystem::is_regular_file(path, error)) {
    return NotFoundError("there is no readable file " + path)
        .AddDetail({std::string(kLocalFault), {}, 0, {}, {}});
  }
  grpc::ClientContext context;
  Prepare(context, kTransferTimeout);
  graft::v1::Dataset dataset;
  const auto writer = datasets_->UploadDataset(&context, &dataset);
  graft::v1::UploadDatasetRequest request;
  request.mutable_header()->set_file_name(path.substr(path.rfind('/') + 1));
  bool open = writer->Write(request);
  std::string chunk(kChunk, '\0');
  int64_t sent = 0;
  Sha256 hash;
  while (open && file) {
    file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    const auto count = static_cast<size_t>(file.gcount());
    if (count == 0) break;
    request.set_chunk(chunk.substr(0, count));
    hash.Update(request.chunk());
    open = writer->Write(request);
    sent += static_cast<int64_t>(count);
    if (progress) progress(sent);
  }
  const bool torn = file.bad();
  if (torn) {
    context.TryCancel();
  } else {
    request.set_sha256(hash.HexDigest());
    writer->Write(request);
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (torn) return DataLossError("reading " + path + " failed");
  if (!status.ok()) return Convert(status);
  return dataset;
}

Status Client::Watch(const std::string& job, int64_t after_event,
                     const std::function<bool(const graft::v1::JobEvent&)>& on_event,
                     std::chrono::milliseconds patience) {
  auto pause = 100ms;
  std::optional<SteadyClock::time_point> away_since;
  for (;;) {
    const bool connected = channel_->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY;
    grpc::ClientContext context;
    Prepare(context, 24h);
    graft::v1::WatchJobRequest request;
    request.set_name(job);
    request.set_after_event(after_event);
    const auto reader = jobs_->WatchJob(&context, request);
    graft::v1::JobEvent event;
    while (reader->Read(&event)) {
      after_event = event.number();
      away_since.reset();
      pause = 100ms;
      if (on_event(event)) continue;
      context.TryCancel();
      (void)reader->Finish();
      return OkStatus();
    }
    const grpc::Status status = reader->Finish();
    const bool a_day_passed = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    if (!IsTransient(status) && !a_day_passed) return Convert(status);
    // A stream may have been silent for hours before it broke.
    if (!away_since || (connected && WasAway(status))) away_since = SteadyClock::now();
    if (SteadyClock::now() - *away_since > patience) return Convert(status);
    AwaitServer(status, pause);
  }
}

StatusOr<graft::v1::AdapterVersion> Client::Import(
    const graft::v1::ImportAdapterRequest::Header& header, const Files& files) {
  grpc::ClientContext context;
  Prepare(context, kTransferTimeout);
  graft::v1::AdapterVersion version;
  const auto writer = adapters_->ImportAdapter(&context, &version);
  graft::v1::ImportAdapterRequest request;
  *request.mutable_header() = header;
  bool open = writer->Write(request);
  Sha256 hash;
  for (const auto& [name, bytes] : files) {
    hash.Update(bytes);
    // An empty file is one empty chunk.
    for (size_t at = 0; open && (at < bytes.size() || at == 0); at += kChunk) {
      request.mutable_file()->set_name(name);
      request.mutable_file()->set_chunk(bytes.substr(at, kChunk));
      open = writer->Write(request);
    }
  }
  request.set_sha256(hash.HexDigest());
  writer->Write(request);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return Convert(status);
  return version;
}

StatusOr<graft::v1::AdapterVersion> Client::Export(const std::string& adapter, Files* files) {
  grpc::ClientContext context;
  Prepare(context, kTransferTimeout);
  graft::v1::ExportAdapterRequest request;
  request.set_adapter(adapter);
  const auto reader = adapters_->ExportAdapter(&context, request);
  graft::v1::AdapterVersion version;
  graft::v1::ExportAdapterResponse response;
  while (reader->Read(&response)) {
    if (response.has_version()) version = response.version();
    if (response.has_file()) (*files)[response.file().name()] += response.file().chunk();
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return Convert(status);
  return version;
}

Status Client::Generate(const graft::v1::GenerateRequest& request,
                        const std::function<void(const graft::v1::GenerateResponse&)>& on_part) {
  grpc::ClientContext context;
  Prepare(context, std::max(options_.timeout, std::chrono::milliseconds(600'000)));
  const auto reader = inference_->Generate(&context, request);
  graft::v1::GenerateResponse part;
  while (reader->Read(&part)) on_part(part);
  return Convert(reader->Finish());
}

}  // namespace graft::client
