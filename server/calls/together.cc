#include "server/calls/together.h"

#include <exception>
#include <tuple>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>

namespace graft::server::calls {

Awaitable<Status> Together(std::vector<std::function<Awaitable<Status>()>> tasks) {
  if (tasks.empty()) co_return OkStatus();
  const auto executor = co_await asio::this_coro::executor;
  using Operation = decltype(asio::co_spawn(executor, tasks.front()(), asio::deferred));
  std::vector<Operation> operations;
  for (const auto& task : tasks)
    operations.push_back(asio::co_spawn(executor, task(), asio::deferred));
  auto [order, errors, statuses] =
      co_await asio::experimental::make_parallel_group(std::move(operations))
          .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
  for (size_t i = 0; i < statuses.size(); ++i) {
    if (errors[i] != nullptr) std::rethrow_exception(errors[i]);
    GRAFT_CO_RETURN_IF_ERROR(statuses[i]);
  }
  co_return OkStatus();
}

}  // namespace graft::server::calls
