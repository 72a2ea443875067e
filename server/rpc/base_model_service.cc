#include "server/rpc/base_model_service.h"

#include "server/rpc/convert.h"
#include "server/rpc/paging.h"

namespace graft::server::rpc {

graft::v1::BaseModel BaseModelService::Describe(const intake::Base& base) {
  graft::v1::BaseModel message;
  message.set_name("bases/" + base.id);
  if (!base.error.ok()) {
    message.set_error(proto::CutText(base.error.message(), proto::kMaxMessageBytes));
    return message;
  }
  message.set_fingerprint(base.fingerprint);
  message.set_family(base.layout.family);
  message.set_parameters(base.layout.ParameterCount());
  message.set_max_length(static_cast<int32_t>(base.layout.max_positions));
  message.set_num_layers(static_cast<int32_t>(base.layout.num_layers));
  message.set_hidden_size(static_cast<int32_t>(base.layout.hidden));
  for (const std::string& worker : backend_.workers.HoldersOf(base.id))
    message.add_resident_on(worker);
  for (const std::string& name : base.layout.LinearNames()) message.add_linear_modules(name);
  return message;
}

Awaitable<StatusOr<graft::v1::ListBasesResponse>> BaseModelService::ListBases(
    CallContext&, const graft::v1::ListBasesRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  if (!request.filter().empty())
    co_return InvalidArgumentError("bases can't be filtered").At("filter");
  using Bases = std::vector<std::shared_ptr<const intake::Base>>;
  auto list = [&bases = backend_.bases]() -> StatusOr<Bases> { return bases.List(); };
  GRAFT_CO_ASSIGN_OR_RETURN(const Bases bases, co_await OnDisk(backend_.runtime, list));

  graft::v1::ListBasesResponse response;
  for (const auto& base : bases) {
    if (base->id <= request.page_token()) continue;
    if (response.bases_size() == static_cast<int>(page_size)) {
      response.set_next_page_token(response.bases(response.bases_size() - 1).name().substr(6));
      break;
    }
    *response.add_bases() = Describe(*base);
  }
  co_return response;
}

Awaitable<StatusOr<graft::v1::BaseModel>> BaseModelService::GetBase(
    CallContext&, const graft::v1::GetBaseRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string id, ParseName(request.name(), "bases", "name"));
  using Bases = std::vector<std::shared_ptr<const intake::Base>>;
  auto list = [&bases = backend_.bases]() -> StatusOr<Bases> { return bases.List(); };
  GRAFT_CO_ASSIGN_OR_RETURN(const Bases bases, co_await OnDisk(backend_.runtime, list));
  for (const auto& base : bases) {
    if (base->id == id) co_return Describe(*base);
  }
  // Says which there are.
  auto find = [&catalog = backend_.bases, id]() -> Status { return catalog.Find(id).status(); };
  Status missing = co_await OnDisk(backend_.runtime, find);
  co_return std::move(missing).At("name");
}

}  // namespace graft::server::rpc
