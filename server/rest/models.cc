#include "server/rest/models.h"

#include <string>

#include "common/base/json.h"
#include "server/rest/handler.h"
#include "server/rest/transcode.h"
#include "server/service/convert.h"

namespace graft::server::rest {
namespace {

constexpr int kPage = 1000;

Json Model(const std::string& id, int64_t created, const std::string& owner) {
  return {{"id", id}, {"object", "model"}, {"created", created}, {"owned_by", owner}};
}

/// Of an adapter's version, by whatever name.
Json AdapterModel(const std::string& name, const graft::v1::Adapter& adapter) {
  Json model = Model(name, adapter.create_time().seconds(), "graft");
  model["base"] = adapter.base();
  return model;
}

calls::Awaitable<Status> AddBases(service::Services& services, calls::CallContext& context,
                                  Json& models) {
  graft::v1::ListBasesRequest request;
  request.set_page_size(kPage);
  while (true) {
    GRAFT_CO_ASSIGN_OR_RETURN(const auto page, co_await services.bases.ListBases(context, request));
    for (const auto& base : page.bases()) {
      if (base.error().empty()) models.push_back(Model(IdOf(base.name()), 0, "base"));
    }
    if (page.next_page_token().empty()) co_return OkStatus();
    request.set_page_token(page.next_page_token());
  }
}

calls::Awaitable<Status> AddAdapters(service::Services& services, calls::CallContext& context,
                                     Json& models) {
  graft::v1::ListAdaptersRequest request;
  request.set_page_size(kPage);
  while (true) {
    GRAFT_CO_ASSIGN_OR_RETURN(const auto page,
                              co_await services.adapters.ListAdapters(context, request));
    for (const auto& adapter : page.adapters()) {
      const std::string id = IdOf(adapter.name());
      if (adapter.aliases().contains("live")) models.push_back(AdapterModel(id, adapter));
      if (adapter.latest_version() > 0) {
        models.push_back(
            AdapterModel(id + "@" + std::to_string(adapter.latest_version()), adapter));
      }
    }
    if (page.next_page_token().empty()) co_return OkStatus();
    request.set_page_token(page.next_page_token());
  }
}

calls::Awaitable<Status> List(service::Services& services, calls::CallContext& context,
                              const http::Request&, http::Responder& out) {
  Json models = Json::array();
  GRAFT_CO_RETURN_IF_ERROR(co_await AddBases(services, context, models));
  GRAFT_CO_RETURN_IF_ERROR(co_await AddAdapters(services, context, models));
  out.Send({}, Dump({{"object", "list"}, {"data", std::move(models)}}));
  co_return OkStatus();
}

calls::Awaitable<Status> Get(service::Services& services, calls::CallContext& context,
                             const http::Request& request, http::Responder& out) {
  const std::string& name = request.arguments.at("model");
  GRAFT_CO_ASSIGN_OR_RETURN(const service::Model model,
                            co_await services.models.Find(context, name));
  if (!model.base.empty()) {
    out.Send({}, Dump(Model(name, 0, "base")));
    co_return OkStatus();
  }
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Version version,
                            co_await services.models.FindVersion(context, name));
  Json answer = Model(name, version.create_time / 1'000'000, "graft");
  answer["base"] = version.base;
  answer["adapter_version_sha256"] = version.sha256;
  out.Send({}, Dump(answer));
  co_return OkStatus();
}

calls::Awaitable<Status> Delete(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  const std::string& name = request.arguments.at("model");
  GRAFT_CO_ASSIGN_OR_RETURN(const service::Model model,
                            co_await services.models.Find(context, name));
  if (!model.base.empty()) {
    co_return FailedPreconditionError(name + " is a base, a folder of the server's --bases")
        .At("model", "IS_A_BASE");
  }
  if (name.find('@') == std::string::npos) {
    co_return FailedPreconditionError(name + " has versions: delete one, like " + name +
                                      "@1, or all of it by DELETE /v1/adapters/" + name)
        .At("model", "HAS_VERSIONS");
  }
  GRAFT_CO_ASSIGN_OR_RETURN(const core::Version version,
                            co_await services.models.FindVersion(context, name));
  graft::v1::DeleteVersionRequest remove;
  remove.set_name(service::VersionName(version.adapter, version.number));
  const auto removed = co_await services.adapters.DeleteVersion(context, remove);
  GRAFT_CO_RETURN_IF_ERROR(removed.status());
  out.Send({}, Dump({{"id", name}, {"object", "model"}, {"deleted", true}}));
  co_return OkStatus();
}

}  // namespace

http::Handler DeleteModelHandler(service::Services& services) {
  return HandlerOf(services, Delete);
}

http::Handler ListModelsHandler(service::Services& services) { return HandlerOf(services, List); }

http::Handler GetModelHandler(service::Services& services) { return HandlerOf(services, Get); }

}  // namespace graft::server::rest
