#include "server/service/model_service.h"

#include <utility>

#include "common/base/ids.h"
#include "common/base/utf8.h"
#include "common/spec/job_spec.h"
#include "server/calls/await.h"
#include "server/core/registry.h"
#include "server/core/store.h"

namespace graft::server::service {
namespace {

Status NoModel(const std::string& name) {
  return NotFoundError("there is no model " + Quoted(name, 200) +
                       ": neither a base nor an adapter has this name; GET /v1/models lists them")
      .At("model", "MODEL_NOT_FOUND");
}

/// "support" of "support@3".
std::string AdapterOf(const std::string& name) { return name.substr(0, name.find('@')); }

}  // namespace

calls::Awaitable<StatusOr<bool>> ModelService::HasAdapter(const calls::CallContext& context,
                                                          std::string id) {
  // What has no name's form names nothing.
  if (!IsValidName(id)) co_return false;
  auto look = [tenant = context.tenant,
               id = std::move(id)](core::Transaction& tx) -> StatusOr<bool> {
    const Status found = tx.GetAdapter(tenant, id).status();
    if (found.code() == StatusCode::kNotFound) return false;
    GRAFT_RETURN_IF_ERROR(found);
    return true;
  };
  co_return co_await Read(backend_.runtime, backend_.store, std::move(look));
}

calls::Awaitable<StatusOr<Model>> ModelService::Find(const calls::CallContext& context,
                                                     std::string name) {
  const std::string id = AdapterOf(name);
  GRAFT_CO_ASSIGN_OR_RETURN(const bool is_adapter, co_await HasAdapter(context, id));
  if (is_adapter && id != name) co_return Model{.adapter = name, .base = {}};
  GRAFT_CO_ASSIGN_OR_RETURN(const bool is_base, co_await backend_.bases.Has(name));
  if (is_adapter && is_base) {
    co_return FailedPreconditionError("both a base and an adapter are named " + name + "; say " +
                                      name + "@live for the adapter, or rename the base's folder")
        .At("model", "AMBIGUOUS_MODEL");
  }
  if (is_adapter) co_return Model{.adapter = name, .base = {}};
  if (is_base) co_return Model{.adapter = {}, .base = name};
  co_return NoModel(name);
}

calls::Awaitable<StatusOr<core::Version>> ModelService::FindVersion(
    const calls::CallContext& context, std::string name) {
  auto resolve = [tenant = context.tenant, name = std::move(name)](core::Transaction& tx) {
    return core::ResolveVersion(tx, tenant, name);
  };
  StatusOr<core::Version> found =
      co_await Read(backend_.runtime, backend_.store, std::move(resolve));
  if (!found.ok()) co_return Status(found.status()).At("model", "MODEL_NOT_FOUND");
  co_return found;
}

calls::Awaitable<StatusOr<bool>> ModelService::IsLanguageModel(const calls::CallContext& context,
                                                               std::string base) {
  const StatusOr<intake::BasePtr> found = co_await backend_.bases.Find(context, base);
  if (!found.ok()) co_return Status(found.status()).At("model");
  co_return spec::CheckHasHead(base, tasks::Kind::kCausalLanguageModeling, (*found)->layout).ok();
}

calls::Awaitable<StatusOr<std::shared_ptr<const tokenizers::Tokenizer>>> ModelService::TokenizerOf(
    const calls::CallContext& context, std::string base) {
  GRAFT_CO_ASSIGN_OR_RETURN(const intake::BasePtr found,
                            co_await backend_.bases.Find(context, std::move(base)));
  co_return found->tokenizer;
}

}  // namespace graft::server::service
