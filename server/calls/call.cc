#include "server/calls/call.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "server/calls/ends.h"
#include "server/calls/fault.h"
#include "server/calls/link.h"

namespace graft::server::calls {
namespace {

/// A call without a deadline reads as one in the year 2262, which overflows as soon as one adds to
/// it.
std::chrono::system_clock::time_point Deadline(std::chrono::system_clock::time_point wanted,
                                               std::chrono::milliseconds cap) {
  const auto now = std::chrono::system_clock::now();
  if (wanted > now + cap) return now + cap;
  constexpr std::chrono::system_clock::duration kMost = std::chrono::milliseconds(500);
  return wanted - std::clamp((wanted - now) / 20, {}, kMost);
}

}  // namespace

std::chrono::milliseconds CallContext::TimeLeft() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(deadline -
                                                               std::chrono::system_clock::now());
}

CallHost::CallHost(Runtime& runtime, Probe& probe, Chain chain, tracing::Tracer tracer)
    : runtime_(runtime), probe_(probe), chain_(std::move(chain)), tracer_(std::move(tracer)) {}
CallHost::~CallHost() = default;

void CallHost::Drain() {
  draining_ = true;
  std::vector<std::shared_ptr<CallState>> ending;
  for (CallState* call : calls_) {
    if (call->options_.on_drain == OnDrain::kEnd) ending.push_back(call->shared_from_this());
  }
  for (const auto& call : ending) call->InterruptWith(Interrupt::kDrain);
}

CallState::CallState(CallHost& host, const CallOptions& options, Arrival arrival)
    : host_(host),
      options_(options),
      arrival_(std::move(arrival)),
      begin_(std::chrono::steady_clock::now()) {
  context_.tenant = arrival_.tenant;
  context_.deadline = Deadline(arrival_.deadline, options.max_duration);
  if (options.traced == Traced::kInTraces && !arrival_.trace.valid()) return;
  context_.span = host.tracer().Start(options.rpc, arrival_.trace, tracing::SpanKind::kServer);
  if (!context_.span.is_recorded()) return;
  // By OpenTelemetry's semantic conventions for RPC and HTTP.
  if (arrival_.protocol == Protocol::kGrpc) {
    const size_t dot = options.rpc.find('.');
    context_.span.Set("rpc.system", std::string("grpc"));
    context_.span.Set("rpc.service", std::string(options.rpc.substr(0, dot)));
    context_.span.Set("rpc.method", std::string(options.rpc.substr(dot + 1)));
  }
  if (!arrival_.http_route.empty()) {
    context_.span.Set("http.request.method", arrival_.http_method);
    context_.span.Set("http.route", arrival_.http_route);
  }
  if (!arrival_.request_id.empty()) context_.span.Set("graft.request_id", arrival_.request_id);
}

double CallState::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void CallState::Start(Body body, Finish finish) {
  body_ = std::move(body);
  asio::post(runtime().io(),
             [self = shared_from_this(), finish = std::move(finish)] { self->Run(finish); });
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

Awaitable<Status> CallState::RunFrom(size_t link) {
  if (link == host_.chain_.size()) return body_(context_);
  return host_.chain_[link]->Handle(*this, [this, link] { return RunFrom(link + 1); });
}

Status CallState::Interrupted() const {
  switch (interrupt_) {
    case Interrupt::kDeadline:
      return Late(*this);
    case Interrupt::kDrain:
      return ShuttingDown();
    case Interrupt::kNone:
    case Interrupt::kCancelled:
      break;
  }
  return CancelledError("the caller went away");
}

void CallState::End(const Finish& finish, const std::exception_ptr& error, Status status) {
  host_.calls_.erase(this);
  if (interrupt_ != Interrupt::kNone && (error != nullptr || !status.ok())) {
    status = Interrupted();
  } else if (error != nullptr) {
    status = Unexpected(options_.rpc, error,
                        {.request_id = arrival_.request_id,
                         .trace_id = trace().trace_id,
                         .span_id = trace().span_id});
  }
  body_ = nullptr;
  context_.span.EndWith(status);
  host_.probe_.CallFinished(arrival_.protocol, options_.rpc, status.code(), seconds());
  // Last: once finished, the server may shut down and take the host with it.
  finish(std::move(status));
}

void CallState::Run(const Finish& finish) {
  host_.calls_.insert(this);
  if (interrupt_ != Interrupt::kNone) return End(finish, nullptr, Interrupted());
  // Begun by a function, so that what it throws is caught like all that comes later.
  asio::co_spawn(
      runtime().io(), [self = shared_from_this()] { return self->RunFrom(0); },
      asio::bind_cancellation_slot(
          signal_.slot(),
          [self = shared_from_this(), finish](const std::exception_ptr& error, Status status) {
            self->End(finish, error, std::move(status));
          }));
}

}  // namespace graft::server::calls
