#pragma once
/// The services, whichever protocols call them.

#include "server/background/backend.h"
#include "server/service/adapter_service.h"
#include "server/service/base_model_service.h"
#include "server/service/coordinator_service.h"
#include "server/service/dataset_service.h"
#include "server/service/finetuning_service.h"
#include "server/service/inference_service.h"
#include "server/service/model_service.h"
#include "server/service/worker_service.h"

namespace graft::server::service {

/// Every plain service; one object each, however many ports they are served on.
struct Services {
  explicit Services(background::Backend& backend)
      : finetuning(backend),
        adapters(backend),
        inference(backend),
        bases(backend),
        datasets(backend),
        models(backend),
        workers(backend),
        coordinator(backend) {}
  FinetuningService finetuning;
  AdapterService adapters;
  InferenceService inference;
  BaseModelService bases;
  DatasetService datasets;
  ModelService models;
  WorkerService workers;
  CoordinatorService coordinator;
};

}  // namespace graft::server::service
