#pragma once
/// graft.internal.v1.Coordinator: what workers call. Every write of a worker carries its lease's
/// token and is refused with ABORTED once another attempt holds a newer one.

#include <string>
#include <vector>

#include "graft/internal/v1/coordinator.pb.h"
#include "server/core/leases.h"
#include "server/rpc/backend.h"
#include "server/rpc/call.h"
#include "server/rpc/reactors.h"

namespace graft::server::rpc {

class CoordinatorService {
 public:
  explicit CoordinatorService(Backend& backend) : backend_(backend) {}

  Awaitable<StatusOr<graft::internal::v1::RegisterResponse>> Register(
      CallContext&, const graft::internal::v1::RegisterRequest&);
  Awaitable<StatusOr<graft::internal::v1::AcquireLeasesResponse>> AcquireLeases(
      CallContext&, const graft::internal::v1::AcquireLeasesRequest&);
  Awaitable<StatusOr<graft::internal::v1::RenewLeasesResponse>> RenewLeases(
      CallContext&, const graft::internal::v1::RenewLeasesRequest&);
  Awaitable<StatusOr<graft::internal::v1::CompleteLeaseResponse>> CompleteLease(
      CallContext&, const graft::internal::v1::CompleteLeaseRequest&);
  Awaitable<Status> GetObject(CallContext&, const graft::internal::v1::GetObjectRequest&,
                              StreamWriter<graft::internal::v1::ObjectChunk>&);
  Awaitable<StatusOr<graft::internal::v1::PutObjectResponse>> PutObject(
      CallContext&, StreamReader<graft::internal::v1::PutObjectRequest>&);

 private:
  core::LeaseOptions LeaseOptions() const;
  /// Removes the checkpoints that renewals replaced; a large job would fill the disk with them.
  Awaitable<void> DropObjects(std::vector<std::string> keys);
  Backend& backend_;
};

}  // namespace graft::server::rpc
