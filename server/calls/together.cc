#include "server/calls/together.h"

#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>

namespace graft::server::calls {

namespace {

/// A task's fault on its way out: what ends a group is an exception.
struct Failed {
  Status status;
};

Awaitable<void> ThrowFailure(const std::function<Awaitable<Status>()>& task) {
  Status status = co_await task();
  if (!status.ok()) throw Failed{std::move(status)};
}

}  // namespace

Awaitable<Status> Together(std::vector<std::function<Awaitable<Status>()>> tasks) {
  if (tasks.empty()) co_return OkStatus();
  const auto executor = co_await asio::this_coro::executor;
  using Operation = decltype(asio::co_spawn(executor, ThrowFailure(tasks.front()), asio::deferred));
  std::vector<Operation> operations;
  for (const auto& task : tasks)
    operations.push_back(asio::co_spawn(executor, ThrowFailure(task), asio::deferred));
  auto [order, errors] =
      co_await asio::experimental::make_parallel_group(std::move(operations))
          .async_wait(asio::experimental::wait_for_one_error(), asio::use_awaitable);
  // The others were interrupted: what they ended with says nothing.
  for (const size_t task : order) {
    if (errors[task] == nullptr) continue;
    try {
      std::rethrow_exception(errors[task]);
    } catch (Failed& failed) {
      co_return std::move(failed.status);
    }
  }
  co_return OkStatus();
}

}  // namespace graft::server::calls
