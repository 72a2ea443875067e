#include "server/rpc/base_finder.h"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/system/system_error.hpp>

namespace graft::server::rpc {

using intake::BasePtr;

Awaitable<void> BaseFinder::Read(std::string id, std::shared_ptr<Flight> flight) {
  auto get = [&catalog = catalog_, id] { return catalog.Get(id); };
  flight->result = co_await OnBases(runtime_, std::move(get));
  if (flight->result->ok()) seen_.insert(id);
  flights_.erase(id);
  flight->ended.cancel();
}

Awaitable<StatusOr<BasePtr>> BaseFinder::Get(std::string id) {
  auto look = [&catalog = catalog_, id]() -> StatusOr<BasePtr> { return catalog.Cached(id); };
  GRAFT_CO_ASSIGN_OR_RETURN(BasePtr known, co_await OnDisk(runtime_, std::move(look)));
  if (known != nullptr) co_return known;
  std::shared_ptr<Flight> flight = flights_[id];
  if (flight == nullptr) {
    flight = std::make_shared<Flight>(runtime_.io());
    flights_[id] = flight;
    asio::co_spawn(runtime_.io(), Read(id, flight), asio::detached);
  }
  if (!flight->result) {
    co_await flight->ended.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
  }
  // Woken because the caller was cancelled.
  if (!flight->result) throw boost::system::system_error(asio::error::operation_aborted);
  co_return *flight->result;
}

Awaitable<StatusOr<BasePtr>> BaseFinder::Find(std::string id) {
  GRAFT_CO_ASSIGN_OR_RETURN(BasePtr base, co_await Get(std::move(id)));
  GRAFT_CO_RETURN_IF_ERROR(intake::CheckUsable(*base));
  co_return base;
}

Awaitable<StatusOr<BasePtr>> BaseFinder::Find(const CallContext& context, std::string id) {
  context.waiting_for = "the base " + id + " to be read";
  StatusOr<BasePtr> base = co_await Find(std::move(id));
  context.waiting_for.clear();
  co_return base;
}

Awaitable<Status> BaseFinder::Check(std::string id) {
  auto look = [&catalog = catalog_, id]() -> Status { return catalog.Check(id); };
  co_return co_await OnDisk(runtime_, std::move(look));
}

Awaitable<StatusOr<std::vector<std::string>>> BaseFinder::Names() {
  auto list = [&catalog = catalog_]() -> StatusOr<std::vector<std::string>> {
    return catalog.Names();
  };
  co_return co_await OnDisk(runtime_, std::move(list));
}

}  // namespace graft::server::rpc
