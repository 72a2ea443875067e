#pragma once
/// graft.v1.DatasetService: data that clients bring.

#include "graft/v1/dataset.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/calls/streams.h"
#include "server/intake/upload_index.h"

namespace graft::server::service {

class DatasetService {
 public:
  explicit DatasetService(background::Backend& backend)
      : backend_(backend), index_(backend.objects) {}

  /// Nothing is to be seen of an upload before its last byte is on disk.
  calls::Awaitable<StatusOr<graft::v1::Dataset>> UploadDataset(
      calls::CallContext&, calls::StreamReader<graft::v1::UploadDatasetRequest>&);
  calls::Awaitable<StatusOr<graft::v1::Dataset>> GetDataset(calls::CallContext&,
                                                            const graft::v1::GetDatasetRequest&);
  /// One piece of the file is in memory at a time.
  calls::Awaitable<Status> ReadDataset(calls::CallContext&, const graft::v1::ReadDatasetRequest&,
                                       calls::StreamWriter<graft::v1::ReadDatasetResponse>&);
  calls::Awaitable<StatusOr<graft::v1::CheckDatasetResponse>> CheckDataset(
      calls::CallContext&, const graft::v1::CheckDatasetRequest&);
  calls::Awaitable<StatusOr<graft::v1::DeleteDatasetResponse>> DeleteDataset(
      calls::CallContext&, const graft::v1::DeleteDatasetRequest&);

  /// dataset_list.cc. A page goes on behind the last one's time and hash, so no upload that stays
  /// is missed or comes twice, whatever comes and goes. Its cost: intake/upload_index.h.
  calls::Awaitable<StatusOr<graft::v1::ListDatasetsResponse>> ListDatasets(
      calls::CallContext&, const graft::v1::ListDatasetsRequest&);

 private:
  /// Errors: NotFound at `name`.
  calls::Awaitable<StatusOr<intake::Upload>> Find(const calls::CallContext&,
                                                  const std::string& name);
  /// Looks what the tenant has, in parts.
  calls::Awaitable<Status> Look(const calls::CallContext&);

  background::Backend& backend_;
  intake::UploadIndex index_;
};

}  // namespace graft::server::service
