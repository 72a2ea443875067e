#include "server/calls/background_task.h"

#include <exception>

#include <spdlog/spdlog.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

namespace graft::server::calls {

BackgroundTask::BackgroundTask(Runtime& runtime, std::string name,
                               std::function<Awaitable<void>()> body)
    : runtime_(runtime), state_(std::make_shared<State>()) {
  state_->body = std::move(body);
  asio::post(runtime_.io(), [state = state_, &io = runtime_.io(), name = std::move(name)] {
    auto ended = [state, name](std::exception_ptr error) {
      try {
        if (error != nullptr) std::rethrow_exception(error);
      } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted)
          spdlog::error("{} ended: {}", name, e.what());
      } catch (const std::exception& e) {
        spdlog::error("{} ended: {}", name, e.what());
      }
      state->ended.set_value();
    };
    asio::co_spawn(io, state->body(),
                   asio::bind_cancellation_slot(state->signal.slot(), std::move(ended)));
  });
}

BackgroundTask::~BackgroundTask() { Stop(); }

void BackgroundTask::Stop() {
  if (state_ == nullptr) return;
  asio::post(runtime_.io(),
             [state = state_] { state->signal.emit(asio::cancellation_type::terminal); });
  state_->ended.get_future().wait();
  // On the io thread, where the coroutine's last references may still be on the stack.
  asio::post(runtime_.io(), [state = std::move(state_)] {});
  state_ = nullptr;
}

Awaitable<void> SleepFor(std::chrono::milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace graft::server::calls
