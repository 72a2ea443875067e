#pragma once
/// Makes gRPC reactors of coroutines (see calls/call.h). Unary, ServerStream and ClientStream are
/// called by a generated service's methods, on a gRPC thread; the object frees itself in OnDone.

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include <grpcpp/support/server_callback.h>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "proto/grpc_status.h"
#include "proto/grpc_trace.h"
#include "server/calls/call.h"
#include "server/calls/pending_op.h"
#include "server/calls/streams.h"
#include "server/calls/worker_access.h"

namespace graft::server::rpc {

namespace asio = boost::asio;

namespace internal {

/// OK if one of the call's `authorization: Bearer ...` is a worker's: a proxy may add its own.
inline Status CheckWorker(const calls::WorkerAccess& access,
                          const grpc::CallbackServerContext& context) {
  constexpr std::string_view kBearer = "Bearer ";
  Status status = access.Check({});
  const auto [begin, end] = context.client_metadata().equal_range("authorization");
  for (auto it = begin; it != end && !status.ok(); ++it) {
    const std::string_view value(it->second.data(), it->second.size());
    if (value.starts_with(kBearer)) status = access.Check(value.substr(kBearer.size()));
  }
  return status;
}

/// Answers with the trace that the call is in, as an HTTP answer does.
inline std::shared_ptr<calls::CallState> MakeCall(calls::CallHost& host,
                                                  const calls::CallOptions& options,
                                                  grpc::CallbackServerContext& context,
                                                  const calls::WorkerAccess* access) {
  calls::Arrival arrival;
  arrival.deadline = context.deadline();
  arrival.trace = proto::TraceOf(context.client_metadata());
  if (access != nullptr) arrival.worker_access = CheckWorker(*access, context);
  auto call = std::make_shared<calls::CallState>(host, options, std::move(arrival));
  if (call->trace().valid())
    context.AddInitialMetadata(tracing::kTraceparent, tracing::Traceparent(call->trace()));
  return call;
}

/// Ends the reactor's call with what its method ended with.
template <typename Reactor>
calls::CallState::Finish FinishOf(Reactor* reactor) {
  return [reactor](const Status& status) { reactor->Finish(proto::ToGrpcStatus(status)); };
}

/// One for all methods: what differs between them is in `body`.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(calls::CallHost& host, const calls::CallOptions& options,
               grpc::CallbackServerContext* context, calls::CallState::Body body,
               const calls::WorkerAccess* access)
      : state_(MakeCall(host, options, *context, access)) {
    state_->Start(std::move(body), FinishOf(this));
  }
  void OnCancel() override { state_->Cancel(); }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<calls::CallState> state_;
};

template <typename Request, typename Response>
class ServerStreamReactor final : public grpc::ServerWriteReactor<Response>,
                                  public calls::StreamWriter<Response> {
 public:
  ServerStreamReactor(calls::CallHost& host, const calls::CallOptions& options,
                      grpc::CallbackServerContext* context, const Request* request,
                      calls::ServerStreamBody<Request, Response> body,
                      const calls::WorkerAccess* access)
      : context_(context), state_(MakeCall(host, options, *context, access)) {
    state_->Start([this, request, body = std::move(body)](
                      calls::CallContext& call) { return body(call, *request, *this); },
                  FinishOf(this));
  }
  calls::Awaitable<bool> Write(Response message) override {
    message_ = std::move(message);
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(
        [this](auto handler) {
          // A client that reads nothing must not outlive its deadline for long, and a write can't
          // be taken back: the call is cut off. One that reads is told why the call ends. A drain
          // leaves it the server's grace to read.
          if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
            slot.assign([this](asio::cancellation_type) {
              if (state_->interrupt() != calls::Interrupt::kDrain) CutOffSoon();
            });
          }
          pending_->Await(std::move(handler));
          this->StartWrite(&message_);
        },
        asio::use_awaitable);
  }
  void OnWriteDone(bool ok) override {
    asio::post(state_->runtime().io(), [this, pending = pending_, ok] {
      if (cut_off_) std::exchange(cut_off_, nullptr)->cancel();
      pending->Complete(ok);  // Last: it may end the call, and this with it.
    });
  }
  void OnCancel() override { state_->Cancel(); }
  void OnDone() override { delete this; }

 private:
  static constexpr std::chrono::milliseconds kTimeToRead{2000};

  void CutOffSoon() {
    cut_off_ = std::make_shared<asio::steady_timer>(state_->runtime().io(), kTimeToRead);
    cut_off_->async_wait([this, timer = std::weak_ptr(cut_off_)](boost::system::error_code) {
      // Where it is still the one, the write is still on its way.
      if (const auto same = timer.lock(); same && same == cut_off_) context_->TryCancel();
    });
  }

  grpc::CallbackServerContext* const context_;  ///< Valid until OnDone.
  std::shared_ptr<calls::CallState> state_;
  std::shared_ptr<calls::PendingOp> pending_ = std::make_shared<calls::PendingOp>();
  std::shared_ptr<asio::steady_timer> cut_off_;  ///< Set while an interrupted write waits.
  Response message_;
};

template <typename Request, typename Response>
class ClientStreamReactor final : public grpc::ServerReadReactor<Request>,
                                  public calls::StreamReader<Request> {
 public:
  ClientStreamReactor(calls::CallHost& host, const calls::CallOptions& options,
                      grpc::CallbackServerContext* context, Response* response,
                      calls::ClientStreamBody<Request, Response> body,
                      const calls::WorkerAccess* access)
      : state_(MakeCall(host, options, *context, access)) {
    state_->Start(
        [this, response, body = std::move(body)](calls::CallContext& call) {
          return calls::StoreAnswer(body(call, *this), response);
        },
        FinishOf(this));
  }
  calls::Awaitable<bool> Read() override {
    const bool ok = co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(
        [this](auto handler) {
          // A client that sends nothing must not outlive its deadline: an interrupted read ends at
          // once.
          if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
            slot.assign(
                [pending = pending_, &io = state_->runtime().io()](asio::cancellation_type) {
                  asio::post(io, [pending] { pending->Complete(false); });
                });
          }
          pending_->Await(std::move(handler));
          this->StartRead(&message_);
        },
        asio::use_awaitable);
    // An end that comes from an interruption is no end of the data.
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (!ok && state.cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted);
    }
    co_return ok;
  }
  Request& message() override { return message_; }
  void OnReadDone(bool ok) override {
    asio::post(state_->runtime().io(), [pending = pending_, ok] { pending->Complete(ok); });
  }
  void OnCancel() override { state_->Cancel(); }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<calls::CallState> state_;
  std::shared_ptr<calls::PendingOp> pending_ = std::make_shared<calls::PendingOp>();
  Request message_;
};

}  // namespace internal

/// `access`: tells workers of methods of calls::Role::kWorker; null: nobody is one.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* Unary(calls::CallHost& host, const calls::CallOptions& options,
                                grpc::CallbackServerContext* context, const Request* request,
                                Response* response, calls::UnaryBody<Request, Response> body,
                                const calls::WorkerAccess* access = nullptr) {
  return new internal::UnaryReactor(
      host, options, context,
      [request, response, body = std::move(body)](calls::CallContext& call) {
        return calls::StoreAnswer(body(call, *request), response);
      },
      access);
}

template <typename Request, typename Response>
grpc::ServerWriteReactor<Response>* ServerStream(calls::CallHost& host,
                                                 const calls::CallOptions& options,
                                                 grpc::CallbackServerContext* context,
                                                 const Request* request,
                                                 calls::ServerStreamBody<Request, Response> body,
                                                 const calls::WorkerAccess* access = nullptr) {
  return new internal::ServerStreamReactor<Request, Response>(host, options, context, request,
                                                              std::move(body), access);
}

template <typename Request, typename Response>
grpc::ServerReadReactor<Request>* ClientStream(calls::CallHost& host,
                                               const calls::CallOptions& options,
                                               grpc::CallbackServerContext* context,
                                               Response* response,
                                               calls::ClientStreamBody<Request, Response> body,
                                               const calls::WorkerAccess* access = nullptr) {
  return new internal::ClientStreamReactor<Request, Response>(host, options, context, response,
                                                              std::move(body), access);
}

}  // namespace graft::server::rpc
