#pragma once
/// graft.v1.WorkerService: who computes.

#include "graft/v1/worker.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"

namespace graft::server::service {

class WorkerService {
 public:
  explicit WorkerService(background::Backend& backend) : backend_(backend) {}

  calls::Awaitable<StatusOr<graft::v1::ListWorkersResponse>> ListWorkers(
      calls::CallContext&, const graft::v1::ListWorkersRequest&);

 private:
  background::Backend& backend_;
};

}  // namespace graft::server::service
