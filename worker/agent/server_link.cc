#include "worker/agent/server_link.h"

#include <grpcpp/create_channel.h>

#include <algorithm>

#include "proto/grpc_status.h"

namespace graft::worker::agent {
namespace {

using namespace std::chrono_literals;
constexpr size_t kChunk = 512 << 10;
// A checkpoint of a fully finetuned model is hundreds of megabytes.
constexpr auto kTransferTimeout = 10min;

}  // namespace

ServerLink::ServerLink(const std::string& address, std::string token) : token_(std::move(token)) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);
  // A server that comes back is found again within a second, not after gRPC's default of up to two
  // minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Also what an attempt to connect may take; a busy machine needs more than an instant for it.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  stub_ = Coordinator::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

ServerLink::Scoped::Scoped(ServerLink& owner, std::chrono::milliseconds timeout) : link(owner) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  // Without, a call would fail at once while the server is away, and nobody would wait for the
  // connection, which only comes about while someone does.
  context.set_wait_for_ready(true);
  if (!link.token_.empty()) context.AddMetadata("authorization", "Bearer " + link.token_);
  const std::lock_guard lock(link.mutex_);
  link.active_.insert(&context);
  if (link.shut_down_) context.TryCancel();
}

ServerLink::Scoped::~Scoped() {
  const std::lock_guard lock(link.mutex_);
  link.active_.erase(&context);
}

Status ServerLink::Convert(const grpc::Status& status) { return proto::FromGrpcStatus(status); }

void ServerLink::Shutdown() {
  const std::lock_guard lock(mutex_);
  shut_down_ = true;
  for (grpc::ClientContext* context : active_) context->TryCancel();
}

StatusOr<std::string> ServerLink::GetObject(const std::string& key,
                                            const std::function<bool()>& go_on) {
  Scoped scoped(*this, kTransferTimeout);
  graft::internal::v1::GetObjectRequest request;
  request.set_key(key);
  const auto reader = stub_->GetObject(&scoped.context, request);
  std::string bytes;
  graft::internal::v1::ObjectChunk chunk;
  const auto wanted = [&] { return !go_on || go_on(); };
  bool stays = wanted();
  while (stays && reader->Read(&chunk)) {
    bytes += chunk.data();
    stays = wanted();
  }
  if (!stays) scoped.context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!stays) return CancelledError("the object " + key + " isn't wanted any more");
  if (!status.ok()) return Convert(status);
  return bytes;
}

Status ServerLink::PutObject(const std::string& key, const std::string& sha256,
                             const std::string& bytes) {
  Scoped scoped(*this, kTransferTimeout);
  graft::internal::v1::PutObjectResponse response;
  const auto writer = stub_->PutObject(&scoped.context, &response);
  graft::internal::v1::PutObjectRequest request;
  request.set_key(key);
  request.set_sha256(sha256);
  bool open = writer->Write(request);
  request.clear_key();
  request.clear_sha256();
  for (size_t at = 0; open && at < bytes.size(); at += kChunk) {
    request.set_chunk(bytes.substr(at, kChunk));
    open = writer->Write(request);
  }
  writer->WritesDone();
  return Convert(writer->Finish());
}

}  // namespace graft::worker::agent
