#include "server/rpc/rpc_server.h"

#include <sys/stat.h>

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>

#include "grpc/health/v1/health.pb.h"

namespace graft::server::rpc {
namespace {

void SetCommonOptions(grpc::ServerBuilder& builder, int max_message_bytes) {
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  // Without this a second server starts on the same port and takes half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Watches are silent for long; their clients ping every 30 s and must not be refused for it.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
}

void Stop(std::unique_ptr<grpc::Server>& server, std::chrono::milliseconds grace) {
  if (server == nullptr) return;
  server->Shutdown(std::chrono::system_clock::now() + grace);
  server->Wait();
  server.reset();
}

}  // namespace

StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const Options& options, calls::CallHost& host,
                                                      service::Services& services) {
  // Held until the process ends: when the last user of gRPC goes away it winds itself up, which can
  // take ten seconds.
  [[maybe_unused]] static const bool held = (grpc_init(), true);
  // Both are global and take effect only before a server is built.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  // Named so that the linker keeps it: reflection describes what is linked in.
  (void)grpc::health::v1::HealthCheckRequest::descriptor();

  auto self = std::unique_ptr<RpcServer>(new RpcServer());
  {
    grpc::ServerBuilder builder;
    SetCommonOptions(builder, options.max_message_bytes);
    self->public_services_ = MakePublicServices(host, services);
    self->public_services_.push_back(
        MakeCoordinator(host, services, {false, options.worker_token}));
    for (auto& service : self->public_services_) builder.RegisterService(service.get());
    builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &self->port_);
    self->public_ = builder.BuildAndStart();
    if (self->public_ == nullptr || self->port_ == 0) {
      return UnavailableError("cannot listen on " + options.listen +
                              " (is the port taken? --listen chooses another, port 0 a free one)");
    }
    self->SetServing(false);
  }
  if (!options.unix_socket.empty()) {
    grpc::ServerBuilder builder;
    SetCommonOptions(builder, options.max_message_bytes);
    self->internal_services_.push_back(MakeCoordinator(host, services, {true, {}}));
    builder.RegisterService(self->internal_services_.back().get());
    builder.AddListeningPort("unix:" + options.unix_socket, grpc::InsecureServerCredentials());
    self->internal_ = builder.BuildAndStart();
    if (self->internal_ == nullptr ||
        ::chmod(options.unix_socket.c_str(), S_IRUSR | S_IWUSR) != 0) {
      return UnavailableError("cannot listen on the socket " + options.unix_socket);
    }
  }
  return self;
}

RpcServer::~RpcServer() {
  StopPublic(std::chrono::milliseconds(0));
  StopInternal(std::chrono::milliseconds(0));
}

void RpcServer::SetServing(bool serving) {
  if (public_ == nullptr) return;
  if (auto* health = public_->GetHealthCheckService(); health != nullptr) {
    health->SetServingStatus(serving);
    for (const char* name :
         {"graft.v1.FinetuningService", "graft.v1.AdapterService", "graft.v1.InferenceService",
          "graft.v1.BaseModelService", "graft.v1.DatasetService", "graft.v1.WorkerService"}) {
      health->SetServingStatus(name, serving);
    }
  }
}

void RpcServer::StopPublic(std::chrono::milliseconds grace) { Stop(public_, grace); }
void RpcServer::StopInternal(std::chrono::milliseconds grace) { Stop(internal_, grace); }

}  // namespace graft::server::rpc
