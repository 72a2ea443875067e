#pragma once
/// graft.v1.AdapterService: adapters, their versions, and the aliases that point at them.

#include "graft/v1/adapter.pb.h"
#include "server/core/rows.h"
#include "server/rpc/backend.h"
#include "server/rpc/call.h"
#include "server/rpc/reactors.h"

namespace graft::server::rpc {

class AdapterService {
 public:
  explicit AdapterService(Backend& backend) : backend_(backend) {}

  Awaitable<StatusOr<graft::v1::ListAdaptersResponse>> ListAdapters(
      CallContext&, const graft::v1::ListAdaptersRequest&);
  Awaitable<StatusOr<graft::v1::Adapter>> GetAdapter(CallContext&,
                                                     const graft::v1::GetAdapterRequest&);
  Awaitable<StatusOr<graft::v1::ListVersionsResponse>> ListVersions(
      CallContext&, const graft::v1::ListVersionsRequest&);
  Awaitable<StatusOr<graft::v1::EvaluateVersionResponse>> EvaluateVersion(
      CallContext&, const graft::v1::EvaluateVersionRequest&);
  Awaitable<StatusOr<graft::v1::Adapter>> SetAlias(CallContext&, const graft::v1::SetAliasRequest&);
  Awaitable<StatusOr<graft::v1::Adapter>> Rollback(CallContext&, const graft::v1::RollbackRequest&);
  Awaitable<StatusOr<graft::v1::DeleteVersionResponse>> DeleteVersion(
      CallContext&, const graft::v1::DeleteVersionRequest&);
  Awaitable<StatusOr<graft::v1::DeleteAdapterResponse>> DeleteAdapter(
      CallContext&, const graft::v1::DeleteAdapterRequest&);
  Awaitable<StatusOr<graft::v1::WarmAdapterResponse>> WarmAdapter(
      CallContext&, const graft::v1::WarmAdapterRequest&);
  Awaitable<StatusOr<graft::v1::PinAdapterResponse>> PinAdapter(
      CallContext&, const graft::v1::PinAdapterRequest&);

  /// adapter_transfer.cc
  Awaitable<StatusOr<graft::v1::AdapterVersion>> ImportAdapter(
      CallContext&, StreamReader<graft::v1::ImportAdapterRequest>&);
  Awaitable<Status> ExportAdapter(CallContext&, const graft::v1::ExportAdapterRequest&,
                                  StreamWriter<graft::v1::ExportAdapterResponse>&);
  /// Held by the imports under way. On the io thread.
  int64_t import_bytes() const { return import_bytes_; }

 private:
  /// Writes a version merged into its base; it begins with `described`.
  Awaitable<Status> ExportMerged(core::Version version, graft::v1::AdapterVersion described,
                                 StreamWriter<graft::v1::ExportAdapterResponse>& writer);
  Awaitable<StatusOr<core::Version>> Resolve(const CallContext&, std::string name,
                                             std::string field);
  /// Loads and proves a version on the workers that serve its base; returns their ids.
  /// Errors: FailedPrecondition if a worker can't prove it; Unavailable if no worker could try.
  Awaitable<StatusOr<std::vector<std::string>>> Load(const CallContext&, core::Version version,
                                                     bool prove);
  /// Loads it everywhere and recomputes its probe. Errors: FailedPrecondition if its files are at
  /// fault.
  Awaitable<Status> Prove(const CallContext&, core::Version version);
  /// Proves, then flips if the version is still the one that was proved. Errors: as core::SetAlias
  /// and core::CheckUnchanged.
  Awaitable<StatusOr<core::Adapter>> Flip(const CallContext&, core::Version version,
                                          std::string alias, std::string etag);

  Backend& backend_;
  int64_t import_bytes_ = 0;
};

}  // namespace graft::server::rpc
