#pragma once
/// Turns what services wait for into awaitables that resume on the io thread: a store transaction,
/// a piece of work on other threads. A caller that is cancelled meanwhile still waits for the end
/// of what it began, then stops; long work is told, and ends soon.

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/base/guard.h"
#include "common/base/status.h"
#include "common/base/stop_flag.h"
#include "server/calls/fault.h"
#include "server/calls/runtime.h"
#include "server/core/store.h"

namespace graft::server::calls {

namespace asio = boost::asio;
template <typename T>
using Awaitable = asio::awaitable<T>;

/// Runs `start(done)` and waits until `done(value)` was called, once, on any thread. `on_cancel`,
/// if any, runs on the io thread if the caller is cancelled meanwhile.
template <typename T, typename Start>
Awaitable<T> AwaitCallback(Runtime& runtime, Start start, std::function<void()> on_cancel = {}) {
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(T)>(
      [](auto handler, Runtime* rt, Start begin, std::function<void()> cancel) {
        if (auto slot = asio::get_associated_cancellation_slot(handler);
            cancel && slot.is_connected()) {
          slot.assign([cancel = std::move(cancel)](asio::cancellation_type) { cancel(); });
        }
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        begin([rt, shared](T value) {
          asio::post(rt->io(), [shared, value = std::move(value)]() mutable {
            auto complete = std::move(*shared);
            if (auto slot = asio::get_associated_cancellation_slot(complete); slot.is_connected())
              slot.clear();
            std::move(complete)(std::move(value));
          });
        });
      },
      asio::use_awaitable, &runtime, std::move(start), std::move(on_cancel));
}

namespace internal {
/// What `work` returns, a Status or StatusOr. What it throws is told by a number; the log has the
/// rest.
template <typename F>
auto ToldByNumber(F&& work) -> std::invoke_result_t<F&> {
  try {
    return work();
  } catch (...) {
    return Unexpected("work beside the calls", std::current_exception());
  }
}

template <typename F>
using TransactionResult = std::invoke_result_t<F&, core::Transaction&>;

template <bool kWrite, typename F>
Awaitable<TransactionResult<F>> RunTransaction(Runtime& runtime, core::Store& store, F work) {
  using Result = TransactionResult<F>;
  auto result = std::make_shared<std::optional<Result>>();
  auto shared_work = std::make_shared<F>(std::move(work));
  auto start = [result, shared_work, &store](auto done) {
    auto run = [result, shared_work](core::Transaction& tx) -> Status {
      *result = ToldByNumber([&] { return (*shared_work)(tx); });
      if constexpr (std::is_same_v<Result, Status>) {
        return **result;
      } else {
        return (*result)->status();
      }
    };
    if constexpr (kWrite) {
      store.Write(std::move(run), std::move(done));
    } else {
      store.Read(std::move(run), std::move(done));
    }
  };
  Status status = co_await AwaitCallback<Status>(runtime, std::move(start));
  if (!status.ok()) co_return Result(std::move(status));
  co_return std::move(**result);
}
}  // namespace internal

/// Runs `work(Transaction&)`, which returns Status or StatusOr<T>, in the store; returns what it
/// returned once that is durable. `work` may run more than once and runs on the store's thread: it
/// captures by value.
template <typename F>
auto Write(Runtime& runtime, core::Store& store, F work) {
  return internal::RunTransaction<true, F>(runtime, store, std::move(work));
}
template <typename F>
auto Read(Runtime& runtime, core::Store& store, F work) {
  return internal::RunTransaction<false, F>(runtime, store, std::move(work));
}

namespace internal {
template <typename F>
Awaitable<std::invoke_result_t<F&>> RunOn(Runtime& runtime, asio::thread_pool& pool, F work,
                                          std::function<void()> on_cancel = {}) {
  using Result = std::invoke_result_t<F&>;
  auto shared_work = std::make_shared<F>(std::move(work));
  auto start = [&pool, shared_work](auto done) {
    asio::post(pool, [shared_work, done = std::move(done)]() mutable {
      Result result = ToldByNumber(*shared_work);
      // Nothing may leave a thread of the pool.
      static_cast<void>(Contained([&] { done(std::move(result)); }));
    });
  };
  co_return co_await AwaitCallback<Result>(runtime, std::move(start), std::move(on_cancel));
}
inline Status NotBegun() { return UnavailableError("the server is shutting down; try again"); }
}  // namespace internal

/// Runs `work()`, which returns Status or StatusOr<T>, on the disk threads. An exception becomes
/// Internal, which tells a number, and the log the rest. `work` may outlive a cancelled caller: it
/// captures by value or shared ownership.
template <typename F>
auto OnDisk(Runtime& runtime, F work) {
  return internal::RunOn<F>(runtime, runtime.disk(), std::move(work));
}
/// The same for `work(const StopFlag&)` that takes seconds, on threads of its own. Once the
/// caller is cancelled the flag is set: then work that hasn't begun never does, and work that looks
/// at the flag ends.
template <typename F>
auto OnIntake(Runtime& runtime, F work) {
  using Result = std::invoke_result_t<F&, const StopFlag&>;
  const StopFlag stop;
  auto unless_stopped = [&runtime, stop, work = std::move(work)]() mutable -> Result {
    if (runtime.stopping()) return internal::NotBegun();
    if (Status stopped = stop.Check(); !stopped.ok()) return stopped;
    return work(stop);
  };
  return internal::RunOn(runtime, runtime.intake(), std::move(unless_stopped),
                         [stop] { stop.Set(); });
}
/// The same for work on bases that takes minutes, on threads of its own; `work()` isn't told.
template <typename F>
auto OnBases(Runtime& runtime, F work) {
  using Result = std::invoke_result_t<F&>;
  auto unless_stopping = [&runtime, work = std::move(work)]() mutable -> Result {
    if (runtime.stopping()) return internal::NotBegun();
    return work();
  };
  return internal::RunOn(runtime, runtime.bases(), std::move(unless_stopping));
}

}  // namespace graft::server::calls
