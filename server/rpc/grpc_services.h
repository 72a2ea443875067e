#pragma once
/// The generated services over the plain ones: each method names its coroutine and how its calls
/// are treated.

#include <memory>
#include <string>
#include <vector>

#include <grpcpp/impl/service_type.h>

#include "server/rpc/adapter_service.h"
#include "server/rpc/base_model_service.h"
#include "server/rpc/call.h"
#include "server/rpc/coordinator_service.h"
#include "server/rpc/dataset_service.h"
#include "server/rpc/finetuning_service.h"
#include "server/rpc/inference_service.h"

namespace graft::server::rpc {

/// Every plain service; one object each, however many ports they are served on.
struct Services {
  explicit Services(Backend& backend)
      : finetuning(backend),
        adapters(backend),
        inference(backend),
        bases(backend),
        datasets(backend),
        coordinator(backend) {}
  FinetuningService finetuning;
  AdapterService adapters;
  InferenceService inference;
  BaseModelService bases;
  DatasetService datasets;
  CoordinatorService coordinator;
};

/// The public API, graft.v1.
std::vector<std::unique_ptr<grpc::Service>> MakePublicServices(CallHost& host, Services& services);

/// Who may call the Coordinator.
struct WorkerAccess {
  bool everyone = false;  ///< On the Unix socket, which only this user can open.
  std::string token;      ///< Else callers bear this secret; empty: nobody may.
};
std::unique_ptr<grpc::Service> MakeCoordinator(CallHost& host, Services& services,
                                               WorkerAccess access);

}  // namespace graft::server::rpc
