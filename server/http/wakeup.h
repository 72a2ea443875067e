#pragma once
/// How a coroutine of one executor waits for what happens on another.

#include <chrono>
#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/calls/await.h"

namespace graft::server::http {

namespace asio = boost::asio;

/// What was told before the wait isn't missed: look at the state, then wait, then look again.
class Wakeup {
 public:
  explicit Wakeup(const asio::any_io_executor& executor)
      : state_(std::make_shared<State>(executor)) {}

  /// Any thread.
  void Notify() {
    asio::post(state_->timer.get_executor(), [state = state_] {
      state->is_told = true;
      state->timer.cancel();
    });
  }
  /// Returns once Notify was called since the last wait; false if the caller was interrupted.
  /// Requires: on the executor, which runs one thing at a time; one waits.
  calls::Awaitable<bool> Wait() {
    const std::shared_ptr<State> state = state_;
    if (!state->is_told) {
      state->timer.expires_at(std::chrono::steady_clock::time_point::max());
      co_await state->timer.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
    }
    co_return std::exchange(state->is_told, false);
  }

 private:
  struct State {
    explicit State(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    bool is_told = false;
  };
  std::shared_ptr<State> state_;
};

}  // namespace graft::server::http
