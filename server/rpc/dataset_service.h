#pragma once
/// graft.v1.DatasetService: data that clients bring.

#include "graft/v1/dataset.pb.h"
#include "server/rpc/backend.h"
#include "server/rpc/call.h"
#include "server/rpc/reactors.h"

namespace graft::server::rpc {

class DatasetService {
 public:
  explicit DatasetService(Backend& backend) : backend_(backend) {}

  /// Nothing is to be seen of an upload before its last byte is on disk.
  Awaitable<StatusOr<graft::v1::Dataset>> UploadDataset(
      CallContext&, StreamReader<graft::v1::UploadDatasetRequest>&);
  Awaitable<StatusOr<graft::v1::CheckDatasetResponse>> CheckDataset(
      CallContext&, const graft::v1::CheckDatasetRequest&);
  Awaitable<StatusOr<graft::v1::DeleteDatasetResponse>> DeleteDataset(
      CallContext&, const graft::v1::DeleteDatasetRequest&);

 private:
  Backend& backend_;
};

}  // namespace graft::server::rpc
