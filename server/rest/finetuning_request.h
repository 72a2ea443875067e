#pragma once
/// OpenAI's CreateFineTuningJobRequest, read as a job of graft's. `suffix` is the adapter, "graft"
/// an object with what OpenAI's form lacks: the fields of graft.v1.JobSpec (method, task, dataset,
/// hyperparameters, ...), and request_id and validate_only of CreateJobRequest.
/// Thread safety: free functions.

#include <optional>
#include <string>

#include "common/base/json.h"
#include "common/base/status.h"
#include "graft/v1/finetuning.pb.h"

namespace graft::server::rest {

struct FinetuningRequest {
  std::string model;  ///< What is to be trained: a base, or an adapter's version that goes on.
  /// All but base, init_from, and a learning rate that is a multiple of the default.
  graft::v1::CreateJobRequest create;
  bool names_task = false;
  std::optional<double> learning_rate_multiplier;
};

/// Errors: InvalidArgument naming the first field at fault.
StatusOr<FinetuningRequest> ReadFinetuningRequest(const Json& body);

/// A fault of the spec by the request's own names: "spec.adapter" is suffix,
/// "spec.method" graft.method.
Status ByFinetuningNames(const Status& fault);

}  // namespace graft::server::rest
