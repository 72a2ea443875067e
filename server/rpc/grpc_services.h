#pragma once
/// The generated services over the plain ones: each method names its coroutine and how its calls
/// are treated.

#include <memory>
#include <string>
#include <vector>

#include <grpcpp/impl/service_type.h>

#include "server/calls/call.h"
#include "server/calls/worker_access.h"
#include "server/service/services.h"

namespace graft::server::rpc {

/// The public API, graft.v1.
std::vector<std::unique_ptr<grpc::Service>> MakePublicServices(calls::CallHost& host,
                                                               service::Services& services);

/// `access`: who may call the Coordinator.
std::unique_ptr<grpc::Service> MakeCoordinator(calls::CallHost& host, service::Services& services,
                                               calls::WorkerAccess access);

}  // namespace graft::server::rpc
