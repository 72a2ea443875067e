#include "server/rpc/call.h"

#include <algorithm>
#include <exception>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "common/base/ids.h"
#include "proto/grpc_status.h"

namespace graft::server::rpc {
namespace {

/// A call without a deadline reads as one in the year 2262, which overflows as soon as one adds to
/// it.
std::chrono::system_clock::time_point Deadline(const grpc::CallbackServerContext& context,
                                               std::chrono::milliseconds cap) {
  const auto now = std::chrono::system_clock::now();
  if (context.deadline() > now + cap) return now + cap;
  constexpr std::chrono::system_clock::duration kMost = std::chrono::milliseconds(500);
  return context.deadline() - std::clamp((context.deadline() - now) / 20, {}, kMost);
}

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

std::chrono::milliseconds CallContext::TimeLeft() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(deadline -
                                                               std::chrono::system_clock::now());
}

void CallHost::Drain() {
  draining_ = true;
  std::vector<std::shared_ptr<CallState>> ending;
  for (CallState* call : calls_) {
    if (call->options_.ends_on_drain) ending.push_back(call->shared_from_this());
  }
  for (const auto& call : ending) call->InterruptWith(CallState::Interrupt::kDrain);
}

CallState::CallState(CallHost& host, const CallOptions& options,
                     const grpc::CallbackServerContext& grpc_context)
    : host_(host),
      options_(options),
      begin_(std::chrono::steady_clock::now()),
      timer_(host.runtime().io()) {
  context_.tenant = kDefaultTenant;
  context_.deadline = Deadline(grpc_context, options.max_duration);
}

void CallState::Start(Body body, std::function<void(grpc::Status)> finish) {
  asio::post(runtime().io(), [self = shared_from_this(), body = std::move(body),
                              finish = std::move(finish)]() mutable {
    self->Run(std::move(body), std::move(finish));
  });
}

void CallState::Cancel() {
  asio::post(runtime().io(),
             [self = shared_from_this()] { self->InterruptWith(Interrupt::kCancelled); });
}

void CallState::InterruptWith(Interrupt reason) {
  if (interrupt_ != Interrupt::kNone) return;
  interrupt_ = reason;
  signal_.emit(asio::cancellation_type::terminal);
}

Status CallState::Late() const {
  const std::string& what = context_.waiting_for;
  return DeadlineExceededError(fmt::format("deadline exceeded after {:.1f} s{}",
                                           SecondsSince(begin_),
                                           what.empty() ? "" : " while waiting for " + what));
}

Status CallState::Outcome(std::exception_ptr error, Status status) const {
  if (error == nullptr && status.ok()) return status;
  switch (interrupt_) {
    case Interrupt::kCancelled:
      return CancelledError("the caller went away");
    case Interrupt::kDeadline:
      return Late();
    case Interrupt::kDrain:
      return UnavailableError("the server is shutting down; try again");
    case Interrupt::kNone:
      break;
  }
  // What another process was asked within the call's deadline ends at it too, and says nothing.
  const bool late = error == nullptr && status.code() == StatusCode::kDeadlineExceeded;
  if (late && status.details().empty()) return Late();
  if (error == nullptr) return status;
  const std::string id = NewId(SystemClock().Now());
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    spdlog::error("{} failed unexpectedly [{}]: {}", options_.rpc, id, e.what());
  } catch (...) {
    spdlog::error("{} failed unexpectedly [{}]", options_.rpc, id);
  }
  return InternalError("unexpected fault " + id + "; the server's log tells more");
}

void CallState::Run(Body body, std::function<void(grpc::Status)> finish) {
  host_.calls_.insert(this);
  context_.draining = host_.draining_;
  auto done = [self = shared_from_this(), finish = std::move(finish)](std::exception_ptr error,
                                                                      Status result) {
    self->timer_.cancel();
    self->host_.calls_.erase(self.get());
    const Status status = self->Outcome(error, std::move(result));
    // Last: once finished, the server may shut down and take the host with it.
    self->host_.probe_.CallFinished(self->options_.rpc, status.code(), SecondsSince(self->begin_));
    finish(proto::ToGrpcStatus(status));
  };
  if (interrupt_ != Interrupt::kNone) return done(nullptr, CancelledError({}));
  if (host_.draining_ && !options_.runs_while_draining) {
    if (options_.rpc.starts_with("InferenceService.")) host_.probe_.InferenceRejected("draining");
    return done(nullptr, UnavailableError("the server is shutting down; try again"));
  }
  timer_.expires_after(std::max(context_.TimeLeft(), std::chrono::milliseconds(0)));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (auto self = weak.lock(); self && !error) self->InterruptWith(Interrupt::kDeadline);
  });
  // The body is kept beside the coroutine: a lambda's captures live in the lambda, not in its
  // frame.
  auto kept = std::make_shared<Body>(std::move(body));
  Awaitable<Status> running = (*kept)(context_);
  asio::co_spawn(runtime().io(), std::move(running),
                 asio::bind_cancellation_slot(
                     signal_.slot(), [kept, done](std::exception_ptr error, Status status) {
                       done(error, std::move(status));
                     }));
}

}  // namespace graft::server::rpc
