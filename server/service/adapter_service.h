#pragma once
/// graft.v1.AdapterService: adapters, their versions, and the aliases that point at them.

#include "graft/v1/adapter.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/calls/streams.h"
#include "server/core/rows.h"

namespace graft::server::service {

class AdapterService {
 public:
  explicit AdapterService(background::Backend& backend) : backend_(backend) {}

  calls::Awaitable<StatusOr<graft::v1::ListAdaptersResponse>> ListAdapters(
      calls::CallContext&, const graft::v1::ListAdaptersRequest&);
  calls::Awaitable<StatusOr<graft::v1::Adapter>> GetAdapter(calls::CallContext&,
                                                            const graft::v1::GetAdapterRequest&);
  calls::Awaitable<StatusOr<graft::v1::ListVersionsResponse>> ListVersions(
      calls::CallContext&, const graft::v1::ListVersionsRequest&);
  calls::Awaitable<StatusOr<graft::v1::EvaluateVersionResponse>> EvaluateVersion(
      calls::CallContext&, const graft::v1::EvaluateVersionRequest&);
  calls::Awaitable<StatusOr<graft::v1::Adapter>> SetAlias(calls::CallContext&,
                                                          const graft::v1::SetAliasRequest&);
  calls::Awaitable<StatusOr<graft::v1::Adapter>> Rollback(calls::CallContext&,
                                                          const graft::v1::RollbackRequest&);
  calls::Awaitable<StatusOr<graft::v1::DeleteVersionResponse>> DeleteVersion(
      calls::CallContext&, const graft::v1::DeleteVersionRequest&);
  calls::Awaitable<StatusOr<graft::v1::DeleteAdapterResponse>> DeleteAdapter(
      calls::CallContext&, const graft::v1::DeleteAdapterRequest&);
  calls::Awaitable<StatusOr<graft::v1::WarmAdapterResponse>> WarmAdapter(
      calls::CallContext&, const graft::v1::WarmAdapterRequest&);
  calls::Awaitable<StatusOr<graft::v1::PinAdapterResponse>> PinAdapter(
      calls::CallContext&, const graft::v1::PinAdapterRequest&);

  /// adapter_transfer.cc
  calls::Awaitable<StatusOr<graft::v1::AdapterVersion>> ImportAdapter(
      calls::CallContext&, calls::StreamReader<graft::v1::ImportAdapterRequest>&);
  calls::Awaitable<Status> ExportAdapter(calls::CallContext&,
                                         const graft::v1::ExportAdapterRequest&,
                                         calls::StreamWriter<graft::v1::ExportAdapterResponse>&);
  /// Held by the imports under way. On the io thread.
  int64_t import_bytes() const { return import_bytes_; }

 private:
  /// Writes a version merged into its base; it begins with `described`.
  calls::Awaitable<Status> ExportMerged(
      core::Version version, graft::v1::AdapterVersion described,
      calls::StreamWriter<graft::v1::ExportAdapterResponse>& writer);
  calls::Awaitable<StatusOr<core::Version>> Resolve(const calls::CallContext&, std::string name,
                                                    std::string field);
  /// Loads and proves a version on the workers that serve its base; returns their ids.
  /// Errors: FailedPrecondition if a worker can't prove it; Unavailable if no worker could try.
  calls::Awaitable<StatusOr<std::vector<std::string>>> Load(const calls::CallContext&,
                                                            core::Version version, bool prove);
  /// Loads it everywhere and recomputes its probe. Errors: FailedPrecondition if its files are at
  /// fault.
  calls::Awaitable<Status> Prove(const calls::CallContext&, core::Version version);
  /// Proves, then flips if the version is still the one that was proved. Errors: as core::SetAlias
  /// and core::CheckUnchanged.
  calls::Awaitable<StatusOr<core::Adapter>> Flip(const calls::CallContext&, core::Version version,
                                                 std::string alias, std::string etag);

  background::Backend& backend_;
  int64_t import_bytes_ = 0;
};

}  // namespace graft::server::service
