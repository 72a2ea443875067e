#pragma once
/// graft.v1.DatasetService: data that clients bring.

#include "graft/v1/dataset.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/calls/streams.h"

namespace graft::server::service {

class DatasetService {
 public:
  explicit DatasetService(background::Backend& backend) : backend_(backend) {}

  /// Nothing is to be seen of an upload before its last byte is on disk.
  calls::Awaitable<StatusOr<graft::v1::Dataset>> UploadDataset(
      calls::CallContext&, calls::StreamReader<graft::v1::UploadDatasetRequest>&);
  calls::Awaitable<StatusOr<graft::v1::CheckDatasetResponse>> CheckDataset(
      calls::CallContext&, const graft::v1::CheckDatasetRequest&);
  calls::Awaitable<StatusOr<graft::v1::DeleteDatasetResponse>> DeleteDataset(
      calls::CallContext&, const graft::v1::DeleteDatasetRequest&);

 private:
  background::Backend& backend_;
};

}  // namespace graft::server::service
