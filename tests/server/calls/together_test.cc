#include "server/calls/together.h"

#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

namespace graft::server::calls {
namespace {

using Task = std::function<Awaitable<Status>()>;

/// Runs tasks on an executor that the test runs itself.
class TogetherTest : public ::testing::Test {
 protected:
  void Begin(std::vector<Task> tasks) {
    asio::co_spawn(io_, Together(std::move(tasks)),
                   asio::bind_cancellation_slot(
                       signal_.slot(), [this](const std::exception_ptr& error, Status status) {
                         ++ends_;
                         error_ = error;
                         status_ = std::move(status);
                       }));
    Run();
  }
  void Run() {
    io_.restart();
    io_.poll();
  }
  /// Says that it began, waits until Release, then ends so.
  Task Waiting(std::string name, Status end = OkStatus()) {
    return [this, name = std::move(name), end = std::move(end)] { return Wait(name, end); };
  }
  Awaitable<Status> Wait(std::string name, Status end) {
    log_.push_back("+" + name);
    asio::steady_timer timer(co_await asio::this_coro::executor,
                             asio::steady_timer::time_point::max());
    timers_.push_back(&timer);
    boost::system::error_code error;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
    log_.push_back("-" + name);
    co_return end;
  }
  static Task Ending(Status end) {
    return [end = std::move(end)] { return End(end); };
  }
  static Awaitable<Status> End(Status end) { co_return end; }
  void Release(size_t task) {
    timers_.at(task)->cancel();
    Run();
  }

  asio::io_context io_;
  asio::cancellation_signal signal_;
  std::vector<asio::steady_timer*> timers_;
  std::vector<std::string> log_;
  int ends_ = 0;
  std::exception_ptr error_;
  Status status_ = InternalError("it hasn't ended");
};

using ::testing::ElementsAre;

TEST_F(TogetherTest, NothingToDoIsDone) {
  Begin({});

  EXPECT_TRUE(status_.ok());
}

TEST_F(TogetherTest, AllBeginBeforeOneEnds) {
  Begin({Waiting("a"), Waiting("b")});

  EXPECT_THAT(log_, ElementsAre("+a", "+b"));
  EXPECT_EQ(ends_, 0);
  for (const size_t task : {1, 0}) Release(task);
  EXPECT_EQ(ends_, 1);
}

TEST_F(TogetherTest, TheEndWaitsForTheLast) {
  Begin({Waiting("a"), Waiting("b")});

  Release(1);
  EXPECT_EQ(ends_, 0);
  Release(0);

  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(status_.ok());
}

TEST_F(TogetherTest, AnErrorInterruptsTheOthers) {
  Begin({Waiting("a"), Ending(NotFoundError("x")), Waiting("c")});

  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(status_.code(), StatusCode::kNotFound);
  EXPECT_THAT(log_, ElementsAre("+a", "+c", "-a", "-c"));
}

TEST_F(TogetherTest, AnExceptionIsTheCallers) {
  const Task broken = []() -> Awaitable<Status> {
    co_await asio::post(asio::use_awaitable);
    throw std::runtime_error("broken");
  };
  Begin({broken, Waiting("b")});

  EXPECT_THROW(std::rethrow_exception(error_), std::runtime_error);
}

TEST_F(TogetherTest, AnInterruptionReachesEach) {
  Begin({Waiting("a"), Waiting("b")});

  signal_.emit(asio::cancellation_type::terminal);
  Run();

  EXPECT_THAT(log_, ElementsAre("+a", "+b", "-a", "-b"));
  EXPECT_EQ(ends_, 1);
}

}  // namespace
}  // namespace graft::server::calls
