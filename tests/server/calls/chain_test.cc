/// What stands in front of every call, without any protocol.

#include "server/calls/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <future>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "server/stores/memory_store.h"
#include "tests/server/support/recording_probe.h"

namespace graft::server::calls {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A call under way.
struct Running {
  std::shared_ptr<CallState> state;
  std::future<Status> end;
};

class ChainTest : public ::testing::Test {
 protected:
  ~ChainTest() override { runtime_.Stop(); }

  Running Begin(const CallOptions& options, CallState::Body body, const Arrival& arrival = {}) {
    auto promise = std::make_shared<std::promise<Status>>();
    Running running{std::make_shared<CallState>(host_, options, arrival), promise->get_future()};
    running.state->Start(std::move(body),
                         [promise](Status status) { promise->set_value(std::move(status)); });
    return running;
  }
  Status Run(const CallOptions& options, CallState::Body body, const Arrival& arrival = {}) {
    return Begin(options, std::move(body), arrival).end.get();
  }
  /// A body that says when it begins, and goes on until it is interrupted.
  CallState::Body Endless() { return Endless(begun_); }
  static CallState::Body Endless(std::promise<void>& begun) {
    return [&begun](CallContext&) -> Awaitable<Status> {
      begun.set_value();
      asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(24));
      co_await timer.async_wait(asio::use_awaitable);
      co_return OkStatus();
    };
  }
  static Awaitable<Status> Succeed(CallContext&) { co_return OkStatus(); }
  void Drain() {
    std::promise<void> done;
    asio::post(runtime_.io(), [&] {
      host_.Drain();
      done.set_value();
    });
    done.get_future().wait();
  }

  Runtime runtime_;
  std::promise<void> begun_;
  RecordingProbe probe_;
  CallHost host_{runtime_, probe_, MakeChain({.max_inference_calls = 1})};
  const CallOptions plain_{.rpc = "Test.Plain"};
  const CallOptions worker_{.rpc = "Test.Worker", .role = Role::kWorker};
  const CallOptions inference_{.rpc = "Test.Inference", .cost = Cost::kInference};
  const CallOptions stream_{.rpc = "Test.Stream", .on_drain = OnDrain::kEnd};
  const CallOptions last_{.rpc = "Test.Last", .on_drain = OnDrain::kRun};
};

TEST_F(ChainTest, WorkersMethodsAreWorkersAlone) {
  Arrival arrival;
  EXPECT_EQ(Run(worker_, Succeed, arrival).code(), StatusCode::kPermissionDenied)
      << "who says nothing is no worker";

  arrival.worker_access = PermissionDeniedError("the token is wrong");
  EXPECT_EQ(Run(worker_, Succeed, arrival), arrival.worker_access);
  EXPECT_TRUE(Run(plain_, Succeed, arrival).ok());

  arrival.worker_access = OkStatus();
  EXPECT_TRUE(Run(worker_, Succeed, arrival).ok());
}

TEST_F(ChainTest, AMethodSeesItsCaller) {
  Arrival arrival;
  arrival.tenant = "acme";
  std::string tenant;
  const auto keep = [&](CallContext& call) -> Awaitable<Status> {
    tenant = call.tenant;
    co_return OkStatus();
  };
  EXPECT_TRUE(Run(plain_, keep, arrival).ok());
  EXPECT_EQ(tenant, "acme");
}

TEST_F(ChainTest, InferenceBeyondTheLimitIsRefusedUntilAPlaceIsFree) {
  std::promise<void> begun;
  const Running first = Begin(inference_, Endless(begun));
  begun.get_future().wait();

  EXPECT_EQ(Run(inference_, Succeed).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(Run(plain_, Succeed).ok()) << "only inference counts";
  EXPECT_THAT(probe_.rejected(), ElementsAre("queue_full"));

  first.state->Cancel();
  first.end.wait();
  EXPECT_TRUE(Run(inference_, Succeed).ok());
}

TEST_F(ChainTest, AThrowingCallGivesItsPlaceBack) {
  const auto fail = [](CallContext&) -> Awaitable<Status> {
    throw std::runtime_error("broken");
    co_return OkStatus();
  };

  EXPECT_EQ(Run(inference_, fail).code(), StatusCode::kInternal);
  EXPECT_EQ(Run(inference_, fail).code(), StatusCode::kInternal);
}

TEST_F(ChainTest, WhatWorkBesideTheCallsThrowsStaysInTheLogToo) {
  const auto fail = [&](CallContext&) -> Awaitable<Status> {
    auto work = []() -> Status { throw std::runtime_error("password=hunter2"); };
    co_return co_await OnDisk(runtime_, std::move(work));
  };

  const Status status = Run(plain_, fail);

  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), Not(HasSubstr("hunter2")));
}

TEST_F(ChainTest, SoDoesWhatATransactionThrows) {
  stores::MemoryStore store;
  const auto fail = [&](CallContext&) -> Awaitable<Status> {
    auto work = [](core::Transaction&) -> Status { throw std::runtime_error("password=hunter2"); };
    co_return co_await Read(runtime_, store, std::move(work));
  };

  const Status status = Run(plain_, fail);

  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), Not(HasSubstr("hunter2")));
}

TEST_F(ChainTest, WhatOnlyTheLogMayTellStaysThere) {
  const auto fail = [](CallContext&) -> Awaitable<Status> {
    throw std::runtime_error("password=hunter2");
    co_return OkStatus();
  };

  const Status status = Run(plain_, fail);

  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), Not(HasSubstr("hunter2")));
  EXPECT_THAT(status.message(), HasSubstr("the server's log tells more"));
}

TEST_F(ChainTest, OutOfMemoryIsToldAsThat) {
  const auto fail = [](CallContext&) -> Awaitable<Status> { throw std::bad_alloc(); };

  EXPECT_EQ(Run(plain_, fail).code(), StatusCode::kResourceExhausted);
}

TEST_F(ChainTest, ADeadlineEndsACallAndSaysWhatItWaitedFor) {
  CallOptions options = plain_;
  options.max_duration = std::chrono::milliseconds(10);
  const auto wait = [](CallContext& call) -> Awaitable<Status> {
    call.waiting_for = "Godot";
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(24));
    co_await timer.async_wait(asio::use_awaitable);
    co_return OkStatus();
  };

  const Status status = Run(options, wait);

  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("while waiting for Godot"));
}

TEST_F(ChainTest, ADrainEndsStreamsRefusesNewCallsAndLetsOthersFinish) {
  std::promise<void> begun, other_begun;
  Running stream = Begin(stream_, Endless(begun));
  Running other = Begin(plain_, Endless(other_begun));
  begun.get_future().wait();
  other_begun.get_future().wait();

  Drain();

  EXPECT_EQ(stream.end.get().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Run(plain_, Succeed).code(), StatusCode::kUnavailable);
  EXPECT_EQ(Run(inference_, Succeed).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(Run(last_, Succeed).ok());
  EXPECT_THAT(probe_.rejected(), ElementsAre("draining"));
  EXPECT_EQ(other.end.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  other.state->Cancel();
  EXPECT_EQ(other.end.get().code(), StatusCode::kCancelled);
}

TEST_F(ChainTest, ACallThatWasGivenUpBeforeItBeganRunsNothing) {
  Running full = Begin(inference_, Endless());
  begun_.get_future().wait();
  for (const CallOptions& options : {plain_, inference_, worker_}) {
    bool ran = false;
    const auto state = std::make_shared<CallState>(host_, options, Arrival());
    const auto end = std::make_shared<std::promise<Status>>();
    state->Cancel();
    state->Start(
        [&](CallContext&) -> Awaitable<Status> {
          ran = true;
          co_return OkStatus();
        },
        [end](Status status) { end->set_value(std::move(status)); });

    EXPECT_EQ(end->get_future().get().code(), StatusCode::kCancelled) << options.rpc;
    EXPECT_FALSE(ran);
  }
  EXPECT_TRUE(probe_.rejected().empty()) << "nobody waits for a place";
  full.state->Cancel();
  full.end.wait();
}

/// A link that waits, and one that throws.
class OddLinkTest : public ChainTest {
 protected:
  class Odd : public Link {
   public:
    explicit Odd(bool throws) : throws_(throws) {}
    Awaitable<Status> Handle(CallState&, Next next) override {
      Status status = co_await next();
      if (throws_) throw std::runtime_error("a link is broken");
      asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(24));
      co_await timer.async_wait(asio::use_awaitable);
      co_return status;
    }

   private:
    const bool throws_;
  };
  static Chain ChainOf(bool throws) {
    Chain chain;
    chain.push_back(std::make_unique<Odd>(throws));
    return chain;
  }
  Running BeginOn(CallHost& host) {
    auto promise = std::make_shared<std::promise<Status>>();
    Running running{std::make_shared<CallState>(host, plain_, Arrival()), promise->get_future()};
    running.state->Start(&Succeed,
                         [promise](Status status) { promise->set_value(std::move(status)); });
    return running;
  }
};

TEST_F(OddLinkTest, WhatALinkThrowsEndsTheCallToo) {
  CallHost host(runtime_, probe_, ChainOf(true));

  EXPECT_EQ(BeginOn(host).end.get().code(), StatusCode::kInternal);
  EXPECT_THAT(probe_.codes(), ElementsAre(StatusCode::kInternal));
}

TEST_F(OddLinkTest, ALinkThatWaitsIsInterruptedLikeAMethod) {
  CallHost host(runtime_, probe_, ChainOf(false));
  Running call = BeginOn(host);
  call.state->Cancel();

  EXPECT_EQ(call.end.get().code(), StatusCode::kCancelled);
  EXPECT_THAT(probe_.codes(), ElementsAre(StatusCode::kCancelled));
}

TEST_F(ChainTest, DeadlinesAreTheEarlierOfTheCallersAndTheServers) {
  using std::chrono::seconds;
  const auto left = [&](std::chrono::system_clock::time_point deadline) {
    Arrival arrival;
    arrival.deadline = deadline;
    std::chrono::milliseconds seen{};
    static_cast<void>(Run(
        plain_,
        [&](CallContext& call) -> Awaitable<Status> {
          seen = call.TimeLeft();
          co_return OkStatus();
        },
        arrival));
    return seen;
  };
  const auto now = std::chrono::system_clock::now();

  EXPECT_LE(left(std::chrono::system_clock::time_point::max()), plain_.max_duration);
  EXPECT_GT(left(std::chrono::system_clock::time_point::max()), plain_.max_duration / 2);
  EXPECT_LE(left(now + seconds(20)), seconds(20));
  EXPECT_GT(left(now + seconds(20)), seconds(10));
  EXPECT_LE(left(now - seconds(20)), seconds(0));
}

TEST_F(ChainTest, EachEndIsToldOnceAsTheCallerReadsIt) {
  CallOptions late = plain_;
  late.max_duration = std::chrono::milliseconds(0);
  std::promise<void> begun;
  static_cast<void>(Run(worker_, Succeed));
  static_cast<void>(Run(late, Endless(begun)));
  static_cast<void>(
      Run(plain_, [](CallContext&) -> Awaitable<Status> { throw std::runtime_error("broken"); }));
  static_cast<void>(Run(plain_, Succeed));

  EXPECT_THAT(probe_.codes(),
              ElementsAre(StatusCode::kPermissionDenied, StatusCode::kDeadlineExceeded,
                          StatusCode::kInternal, StatusCode::kOk));
}

}  // namespace
}  // namespace graft::server::calls
