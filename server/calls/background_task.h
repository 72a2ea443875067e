#pragma once
/// A coroutine that runs beside the calls, for as long as the server does.

#include <future>
#include <memory>
#include <string>

#include <boost/asio/cancellation_signal.hpp>

#include "server/calls/await.h"
#include "server/calls/runtime.h"

namespace graft::server::calls {

/// Thread safety: confined to one thread that isn't the io thread.
class BackgroundTask {
 public:
  /// Runs `body` on the io thread until it returns or Stop. `name` stands in the log if it throws.
  BackgroundTask(Runtime& runtime, std::string name, std::function<Awaitable<void>()> body);
  ~BackgroundTask();
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

  /// Interrupts the coroutine at its next wait and returns once it has ended. Idempotent.
  void Stop();

 private:
  struct State {
    std::function<Awaitable<void>()> body;
    boost::asio::cancellation_signal signal;
    std::promise<void> ended;
  };
  Runtime& runtime_;
  std::shared_ptr<State> state_;
};

/// Waits; throws if the coroutine is interrupted.
Awaitable<void> SleepFor(std::chrono::milliseconds duration);

}  // namespace graft::server::calls
