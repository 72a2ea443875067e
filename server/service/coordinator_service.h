#pragma once
/// graft.internal.v1.Coordinator: what workers call. Every write of a worker carries its lease's
/// token and is refused with ABORTED once another attempt holds a newer one.

#include <string>
#include <vector>

#include "graft/internal/v1/coordinator.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/calls/streams.h"
#include "server/core/leases.h"

namespace graft::server::service {

/// InvalidArgument if no worker can have this id.
Status CheckWorkerId(const std::string& id);

class CoordinatorService {
 public:
  explicit CoordinatorService(background::Backend& backend) : backend_(backend) {}

  calls::Awaitable<StatusOr<graft::internal::v1::RegisterResponse>> Register(
      calls::CallContext&, const graft::internal::v1::RegisterRequest&);
  calls::Awaitable<StatusOr<graft::internal::v1::AcquireLeasesResponse>> AcquireLeases(
      calls::CallContext&, const graft::internal::v1::AcquireLeasesRequest&);
  calls::Awaitable<StatusOr<graft::internal::v1::RenewLeasesResponse>> RenewLeases(
      calls::CallContext&, const graft::internal::v1::RenewLeasesRequest&);
  calls::Awaitable<StatusOr<graft::internal::v1::KeepCheckpointResponse>> KeepCheckpoint(
      calls::CallContext&, const graft::internal::v1::KeepCheckpointRequest&);
  calls::Awaitable<StatusOr<graft::internal::v1::CompleteLeaseResponse>> CompleteLease(
      calls::CallContext&, const graft::internal::v1::CompleteLeaseRequest&);
  calls::Awaitable<Status> GetObject(calls::CallContext&,
                                     const graft::internal::v1::GetObjectRequest&,
                                     calls::StreamWriter<graft::internal::v1::ObjectChunk>&);
  calls::Awaitable<StatusOr<graft::internal::v1::PutObjectResponse>> PutObject(
      calls::CallContext&, calls::StreamReader<graft::internal::v1::PutObjectRequest>&);

 private:
  core::LeaseOptions LeaseOptions() const;
  /// Removes the checkpoints that renewals replaced; a large job would fill the disk with them.
  calls::Awaitable<void> DropObjects(std::vector<std::string> keys);
  background::Backend& backend_;
};

}  // namespace graft::server::service
