#include "server/calls/await.h"

#include <atomic>
#include <future>
#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "call_fixture.h"

namespace graft::server::rpc {
namespace {

class AwaitTest : public testing::Test {
 protected:
  void TearDown() override { runtime_.Stop(); }

  void OnIo(const std::function<void()>& work) {
    Flag done;
    boost::asio::post(runtime_.io(), [&] {
      work();
      done.Set();
    });
    ASSERT_TRUE(done.Wait());
  }
  /// Runs `work` as OnIntake does; returns once it was handed over.
  template <typename Work>
  void Begin(Work work) {
    // Captures nothing: they would live in the lambda, which is gone when the coroutine goes on.
    auto body = [](AwaitTest* test, Work w) -> calls::Awaitable<void> {
      test->begun_.Set();
      test->result_ = co_await OnIntake(test->runtime_, std::move(w));
    };
    boost::asio::co_spawn(runtime_.io(), body(this, std::move(work)),
                          boost::asio::bind_cancellation_slot(
                              signal_.slot(), [this](std::exception_ptr) { ended_.Set(); }));
    ASSERT_TRUE(begun_.Wait());
    OnIo([] {});
  }
  void Cancel() {
    OnIo([this] { signal_.emit(boost::asio::cancellation_type::terminal); });
  }
  /// Takes every thread for long work until Open.
  void Close() {
    for (int i = 0; i < calls::Runtime::Options().intake_threads; ++i)
      boost::asio::post(runtime_.intake(), [gate = gate_] { gate.wait(); });
  }
  void Open() { open_.set_value(); }

  calls::Runtime runtime_;
  boost::asio::cancellation_signal signal_;
  Flag begun_, ended_;
  Status result_ = InternalError("no result yet");
  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();
};

TEST_F(AwaitTest, LongWorkIsToldThatNobodyWaitsForIt) {
  Begin([](const StopFlag& stop) -> Status {
    while (!stop.IsSet()) std::this_thread::yield();
    return stop.Check();
  });

  Cancel();

  ASSERT_TRUE(ended_.Wait());
  EXPECT_EQ(result_.code(), StatusCode::kCancelled);
}

TEST_F(AwaitTest, LongWorkThatNobodyWaitsForIsNotBegun) {
  std::atomic<bool> ran = false;
  Close();
  Begin([&ran](const StopFlag&) -> Status {
    ran = true;
    return OkStatus();
  });

  Cancel();
  Open();

  ASSERT_TRUE(ended_.Wait());
  EXPECT_FALSE(ran);
  EXPECT_EQ(result_.code(), StatusCode::kCancelled);
}

TEST_F(AwaitTest, LongWorkThatWaitsWhenTheServerStopsIsNotBegun) {
  std::atomic<bool> ran = false;
  Close();
  Begin([&ran](const StopFlag&) -> Status {
    ran = true;
    return OkStatus();
  });

  std::thread stop([this] { runtime_.Stop(); });
  while (!runtime_.stopping()) std::this_thread::yield();
  Open();
  stop.join();

  ASSERT_TRUE(ended_.Wait());
  EXPECT_FALSE(ran);
  EXPECT_EQ(result_.code(), StatusCode::kUnavailable) << result_;
}

TEST_F(AwaitTest, LongWorkThatIsWaitedForGivesItsResult) {
  Begin([](const StopFlag& stop) -> Status {
    return stop.IsSet() ? stop.Check() : NotFoundError("x");
  });

  ASSERT_TRUE(ended_.Wait());
  EXPECT_EQ(result_.code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace graft::server::rpc
