#include "server/service/base_model_service.h"

#include "proto/error_info.h"
#include "server/service/convert.h"
#include "server/service/paging.h"

namespace graft::server::service {
namespace {

constexpr std::string_view kPrefix = "bases/";

graft::v1::BaseModel Unusable(const std::string& id, const Status& why) {
  graft::v1::BaseModel message;
  message.set_name(std::string(kPrefix) + id);
  message.set_error(proto::CutText(why.message(), proto::kMaxMessageBytes));
  return message;
}

}  // namespace

graft::v1::BaseModel BaseModelService::Describe(const intake::Base& base) {
  if (!base.error.ok()) return Unusable(base.id, base.error);
  graft::v1::BaseModel message;
  message.set_name(std::string(kPrefix) + base.id);
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

calls::Awaitable<StatusOr<graft::v1::ListBasesResponse>> BaseModelService::ListBases(
    calls::CallContext& context, const graft::v1::ListBasesRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  if (!request.filter().empty())
    co_return InvalidArgumentError("bases can't be filtered").At("filter");
  GRAFT_CO_ASSIGN_OR_RETURN(const std::vector<std::string> names, co_await backend_.bases.Names());
  graft::v1::ListBasesResponse response;
  for (const std::string& id : names) {
    if (id <= request.page_token()) continue;
    if (response.bases_size() == static_cast<int>(page_size)) {
      response.set_next_page_token(
          response.bases(response.bases_size() - 1).name().substr(kPrefix.size()));
      break;
    }
    context.waiting_for = "the base " + id + " to be read";
    const StatusOr<intake::BasePtr> base = co_await backend_.bases.Get(id);
    if (base.status().code() == StatusCode::kNotFound) continue;  // Removed meanwhile.
    *response.add_bases() = base.ok() ? Describe(**base) : Unusable(id, base.status());
  }
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::BaseModel>> BaseModelService::GetBase(
    calls::CallContext& context, const graft::v1::GetBaseRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const std::string id, ParseName(request.name(), "bases", "name"));
  context.waiting_for = "the base " + id + " to be read";
  const StatusOr<intake::BasePtr> base = co_await backend_.bases.Get(id);
  if (!base.ok()) co_return Status(base.status()).At("name");
  co_return Describe(**base);
}

}  // namespace graft::server::service
