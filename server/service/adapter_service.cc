#include "server/service/adapter_service.h"

#include <fmt/format.h>

#include "server/core/filter.h"
#include "server/core/registry.h"
#include "server/service/convert.h"
#include "server/service/paging.h"
#include "server/service/version_ref.h"

namespace graft::server::service {
namespace {

namespace pb = graft::internal::v1;
using core::Transaction;

std::string AliasOrLive(const std::string& alias) { return alias.empty() ? "live" : alias; }

}  // namespace

calls::Awaitable<StatusOr<core::Version>> AdapterService::Resolve(const calls::CallContext& context,
                                                                  std::string name,
                                                                  std::string field) {
  auto resolve = [tenant = context.tenant, name = std::move(name)](Transaction& tx) {
    return core::ResolveVersion(tx, tenant, name);
  };
  StatusOr<core::Version> version =
      co_await Read(backend_.runtime, backend_.store, std::move(resolve));
  if (!version.ok()) co_return Status(version.status()).At(std::move(field));
  co_return version;
}

calls::Awaitable<StatusOr<graft::v1::ListAdaptersResponse>> AdapterService::ListAdapters(
    calls::CallContext& context, const graft::v1::ListAdaptersRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string base, core::ParseBaseFilter(request.filter()));
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string after,
                            core::ParsePageToken(request.page_token(), request.filter()));
  auto list = [tenant = context.tenant, base, after, page_size](Transaction& tx) {
    return tx.ListAdapters(tenant, base, after, page_size + 1);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(std::vector<core::Adapter> adapters,
                            co_await Read(backend_.runtime, backend_.store, std::move(list)));
  graft::v1::ListAdaptersResponse response;
  if (adapters.size() > page_size) {
    adapters.resize(page_size);
    response.set_next_page_token(core::MakePageToken(adapters.back().id, request.filter()));
  }
  for (const core::Adapter& adapter : adapters) *response.add_adapters() = ToProto(adapter);
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::Adapter>> AdapterService::GetAdapter(
    calls::CallContext& context, const graft::v1::GetAdapterRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string id, ParseName(request.name(), "adapters", "name"));
  auto get = [tenant = context.tenant, id](Transaction& tx) { return tx.GetAdapter(tenant, id); };
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Adapter adapter,
                            co_await Read(backend_.runtime, backend_.store, std::move(get)));
  co_return ToProto(adapter);
}

calls::Awaitable<StatusOr<graft::v1::ListVersionsResponse>> AdapterService::ListVersions(
    calls::CallContext& context, const graft::v1::ListVersionsRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string id,
                            ParseName(request.adapter(), "adapters", "adapter"));
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string job, core::ParseVersionFilter(request.filter()));
  const std::string list_of = job.empty() ? id : id + " of " + job;
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string token,
                            core::ParsePageToken(request.page_token(), list_of));
  const int64_t before = token.empty() ? 0 : std::atoll(token.c_str());
  struct Page {
    core::Adapter adapter;
    core::VersionPage of_versions;
  };
  auto list = [tenant = context.tenant, id, job, before,
               page_size](Transaction& tx) -> StatusOr<Page> {
    Page page;
    GRAFT_ASSIGN_OR_RETURN(page.adapter, tx.GetAdapter(tenant, id));
    GRAFT_ASSIGN_OR_RETURN(page.of_versions,
                           core::ListVersionPage(tx, page.adapter, job, before, page_size));
    return page;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Page page,
                            co_await Read(backend_.runtime, backend_.store, std::move(list)));
  graft::v1::ListVersionsResponse response;
  if (page.of_versions.next_before > 0) {
    response.set_next_page_token(
        core::MakePageToken(std::to_string(page.of_versions.next_before), list_of));
  }
  for (const core::Version& version : page.of_versions.versions)
    *response.add_versions() = ToProto(version, page.adapter);
  co_return response;
}

calls::Awaitable<StatusOr<std::vector<std::string>>> AdapterService::Load(
    const calls::CallContext& context, core::Version version, bool prove) {
  std::vector<std::string> loaded;
  Status last = UnavailableError("no worker could load it");
  GRAFT_CO_ASSIGN_OR_RETURN(const auto links,
                            co_await backend_.workers.ServingLinks(context, version.base));
  pb::LoadVersionRequest request;
  *request.mutable_version() = RefTo(version);
  request.set_prove(prove);
  for (const std::shared_ptr<background::EngineLink>& link : links) {
    context.waiting_for = fmt::format("worker {} to load {} on the base {}", link->worker_id(),
                                      VersionName(version.adapter, version.number), version.base);
    StatusOr<pb::LoadVersionResponse> reply = co_await link->LoadVersion(request, context);
    if (reply.ok()) {
      loaded.push_back(link->worker_id());
      backend_.workers.NoteLoaded(link->worker_id(), version.sha256);
      continue;
    }
    last = reply.status();
    // A worker that went away proves nothing; the others decide.
    if (last.code() != StatusCode::kUnavailable) {
      const std::string name = VersionName(version.adapter, version.number);
      co_return Retold(last, last.code(),
                       fmt::format("{} can't be used: {}", name, last.message()));
    }
  }
  context.waiting_for.clear();
  if (loaded.empty()) co_return last;
  co_return loaded;
}

calls::Awaitable<Status> AdapterService::Prove(const calls::CallContext& context,
                                               core::Version version) {
  const auto loaded = co_await Load(context, std::move(version), /*prove=*/true);
  const Status& status = loaded.status();
  const bool its_fault = status.code() == StatusCode::kInvalidArgument ||
                         status.code() == StatusCode::kDataLoss ||
                         status.code() == StatusCode::kNotFound;
  co_return its_fault ? Retold(status, StatusCode::kFailedPrecondition, status.message()) : status;
}

calls::Awaitable<StatusOr<core::Adapter>> AdapterService::Flip(const calls::CallContext& context,
                                                               core::Version version,
                                                               std::string alias,
                                                               std::string etag) {
  GRAFT_CO_RETURN_IF_ERROR(co_await Prove(context, version));
  auto flip = [tenant = context.tenant, version, alias = std::move(alias),
               etag = std::move(etag)](Transaction& tx) -> StatusOr<core::Adapter> {
    GRAFT_RETURN_IF_ERROR(core::CheckUnchanged(tx, version));
    return core::SetAlias(tx, tenant, version.adapter, alias, version.number, etag);
  };
  co_return co_await Write(backend_.runtime, backend_.store, std::move(flip));
}

calls::Awaitable<StatusOr<graft::v1::Adapter>> AdapterService::SetAlias(
    calls::CallContext& context, const graft::v1::SetAliasRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string id,
                            ParseName(request.adapter(), "adapters", "adapter"));
  GRAFT_CO_RETURN_IF_ERROR(CheckName(AliasOrLive(request.alias()), "alias", "alias"));
  if (request.version().empty()) co_return InvalidArgumentError("say which version").At("version");
  auto get = [tenant = context.tenant, id](Transaction& tx) { return tx.GetAdapter(tenant, id); };
  StatusOr<core::Adapter> known = co_await Read(backend_.runtime, backend_.store, std::move(get));
  if (!known.ok()) co_return Status(known.status()).At("adapter");
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Version version,
                            co_await Resolve(context, id + "@" + request.version(), "version"));
  GRAFT_CO_ASSIGN_OR_RETURN(
      const core::Adapter adapter,
      co_await Flip(context, version, AliasOrLive(request.alias()), request.etag()));
  co_return ToProto(adapter);
}

calls::Awaitable<StatusOr<graft::v1::Adapter>> AdapterService::Rollback(
    calls::CallContext& context, const graft::v1::RollbackRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string id,
                            ParseName(request.adapter(), "adapters", "adapter"));
  const std::string alias = AliasOrLive(request.alias());
  struct Target {
    core::Version version;
    int64_t revision = 0;
  };
  auto find = [tenant = context.tenant, id, alias,
               etag = request.etag()](Transaction& tx) -> StatusOr<Target> {
    Target target;
    GRAFT_ASSIGN_OR_RETURN(const core::Adapter adapter, tx.GetAdapter(tenant, id));
    GRAFT_RETURN_IF_ERROR(core::CheckEtag(adapter, etag));
    GRAFT_ASSIGN_OR_RETURN(const int64_t number, core::RollbackTarget(adapter, alias));
    GRAFT_ASSIGN_OR_RETURN(target.version, tx.GetVersion(tenant, id, number));
    target.revision = adapter.revision;
    return target;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Target target,
                            co_await Read(backend_.runtime, backend_.store, std::move(find)));
  GRAFT_CO_RETURN_IF_ERROR(co_await Prove(context, target.version));
  auto flip = [proved = target.version, alias,
               etag = std::to_string(target.revision)](Transaction& tx) -> StatusOr<core::Adapter> {
    // An adapter that was deleted and made anew may have the same revision.
    GRAFT_ASSIGN_OR_RETURN(const core::Adapter adapter,
                           tx.GetAdapter(proved.tenant, proved.adapter));
    GRAFT_ASSIGN_OR_RETURN(const int64_t number, core::RollbackTarget(adapter, alias));
    if (number != proved.number)
      return AbortedError("adapter " + proved.adapter + " was changed meanwhile; try again");
    GRAFT_RETURN_IF_ERROR(core::CheckUnchanged(tx, proved));
    return core::Rollback(tx, proved.tenant, proved.adapter, alias, etag);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Adapter adapter,
                            co_await Write(backend_.runtime, backend_.store, std::move(flip)));
  co_return ToProto(adapter);
}

calls::Awaitable<StatusOr<graft::v1::EvaluateVersionResponse>> AdapterService::EvaluateVersion(
    calls::CallContext& context, const graft::v1::EvaluateVersionRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Version version,
                            co_await Resolve(context, request.adapter(), "adapter"));
  const tasks::TaskSpec task = core::TaskOf(version);
  StatusOr<spec::DatasetSpec> dataset = FromProto(request.dataset(), task.kind);
  if (!dataset.ok()) co_return dataset.status();
  auto prepare = [&intake = backend_.intake, tenant = context.tenant, spec = *dataset,
                  task](const StopFlag& stop) {
    return intake.PrepareEvaluation(tenant, spec, task, stop);
  };
  context.waiting_for = "the data to be read and checked";
  pb::EngineEvaluateRequest engine_request;
  *engine_request.mutable_version() = RefTo(version);
  GRAFT_CO_ASSIGN_OR_RETURN(*engine_request.mutable_dataset_sha256(),
                            co_await OnIntake(backend_.runtime, std::move(prepare)));
  StatusOr<pb::EngineEvaluateResponse> reply = co_await backend_.workers.CallOne(
      context, version, &background::EngineLink::EvaluateVersion, engine_request);
  if (!reply.ok()) co_return reply.status();
  graft::v1::EvaluateVersionResponse response;
  response.set_adapter_version(VersionName(version.adapter, version.number));
  response.set_adapter_version_sha256(version.sha256);
  *response.mutable_evaluation() = reply->evaluation();
  *response.mutable_labels() = reply->labels();
  response.set_base_fingerprint(reply->base_fingerprint());
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::WarmAdapterResponse>> AdapterService::WarmAdapter(
    calls::CallContext& context, const graft::v1::WarmAdapterRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Version version,
                            co_await Resolve(context, request.adapter(), "adapter"));
  GRAFT_CO_ASSIGN_OR_RETURN(const auto workers, co_await Load(context, version, /*prove=*/false));
  graft::v1::WarmAdapterResponse response;
  for (const std::string& worker : workers) response.add_workers(worker);
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::PinAdapterResponse>> AdapterService::PinAdapter(
    calls::CallContext&, const graft::v1::PinAdapterRequest&) {
  co_return UnimplementedError(
      "PinAdapter is not built yet; WarmAdapter loads a version without keeping it");
}

calls::Awaitable<StatusOr<graft::v1::DeleteVersionResponse>> AdapterService::DeleteVersion(
    calls::CallContext& context, const graft::v1::DeleteVersionRequest& request) {
  StatusOr<core::VersionName> name = core::ParseVersionName(request.name());
  if (!name.ok()) co_return Status(name.status()).At("name");
  auto remove = [tenant = context.tenant, name = *name](Transaction& tx) {
    return core::DeleteVersion(tx, tenant, name.adapter, name.number);
  };
  GRAFT_CO_RETURN_IF_ERROR(co_await Write(backend_.runtime, backend_.store, std::move(remove)));
  co_return graft::v1::DeleteVersionResponse();
}

calls::Awaitable<StatusOr<graft::v1::DeleteAdapterResponse>> AdapterService::DeleteAdapter(
    calls::CallContext& context, const graft::v1::DeleteAdapterRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string id, ParseName(request.name(), "adapters", "name"));
  auto remove = [tenant = context.tenant, id](Transaction& tx) {
    return core::DeleteAdapter(tx, tenant, id);
  };
  GRAFT_CO_RETURN_IF_ERROR(co_await Write(backend_.runtime, backend_.store, std::move(remove)));
  co_return graft::v1::DeleteAdapterResponse();
}

}  // namespace graft::server::service
