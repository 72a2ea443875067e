#include "server/background/base_finder.h"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/system/system_error.hpp>

namespace graft::server::background {

using intake::BasePtr;

calls::Awaitable<void> BaseFinder::Read(std::string id, std::shared_ptr<Flight> flight) {
  auto get = [&catalog = catalog_, id] { return catalog.Get(id); };
  flight->result = co_await OnBases(runtime_, std::move(get));
  if (flight->result->ok()) seen_.insert(id);
  flights_.erase(id);
  flight->ended.cancel();
}

calls::Awaitable<StatusOr<BasePtr>> BaseFinder::Get(std::string id) {
  auto look = [&catalog = catalog_, id]() -> StatusOr<BasePtr> { return catalog.Cached(id); };
  GRAFT_CO_ASSIGN_OR_RETURN(BasePtr known, co_await OnDisk(runtime_, std::move(look)));
  if (known != nullptr) co_return known;
  std::shared_ptr<Flight> flight = flights_[id];
  if (flight == nullptr) {
    flight = std::make_shared<Flight>(runtime_.io());
    flights_[id] = flight;
    boost::asio::co_spawn(runtime_.io(), Read(id, flight), boost::asio::detached);
  }
  if (!flight->result) {
    co_await flight->ended.async_wait(
        boost::asio::experimental::as_tuple(boost::asio::use_awaitable));
  }
  // Woken because the caller was cancelled.
  if (!flight->result) throw boost::system::system_error(boost::asio::error::operation_aborted);
  co_return *flight->result;
}

calls::Awaitable<StatusOr<BasePtr>> BaseFinder::Find(std::string id) {
  GRAFT_CO_ASSIGN_OR_RETURN(BasePtr base, co_await Get(std::move(id)));
  GRAFT_CO_RETURN_IF_ERROR(intake::CheckUsable(*base));
  co_return base;
}

calls::Awaitable<StatusOr<BasePtr>> BaseFinder::Find(const calls::CallContext& context,
                                                     std::string id) {
  context.waiting_for = "the base " + id + " to be read";
  StatusOr<BasePtr> base = co_await Find(std::move(id));
  context.waiting_for.clear();
  co_return base;
}

calls::Awaitable<Status> BaseFinder::Check(std::string id) {
  auto look = [&catalog = catalog_, id]() -> Status { return catalog.Check(id); };
  co_return co_await OnDisk(runtime_, std::move(look));
}

calls::Awaitable<StatusOr<bool>> BaseFinder::Has(std::string id) {
  auto look = [&catalog = catalog_, id]() -> StatusOr<bool> { return catalog.Has(id); };
  co_return co_await OnDisk(runtime_, std::move(look));
}

calls::Awaitable<Status> BaseFinder::CheckAdapterName(std::string adapter, std::string field) {
  GRAFT_CO_ASSIGN_OR_RETURN(const bool is_taken, co_await Has(adapter));
  if (!is_taken) co_return OkStatus();
  co_return InvalidArgumentError("a base is named " + adapter +
                                 ", and adapters and bases share one name space: a client asks for "
                                 "either as its model; give the adapter another name")
      .At(std::move(field), "NAME_OF_A_BASE");
}

calls::Awaitable<StatusOr<std::vector<std::string>>> BaseFinder::Names() {
  auto list = [&catalog = catalog_]() -> StatusOr<std::vector<std::string>> {
    return catalog.Names();
  };
  co_return co_await OnDisk(runtime_, std::move(list));
}

}  // namespace graft::server::background
