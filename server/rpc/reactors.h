#pragma once
/// Makes gRPC reactors of coroutines (see call.h). Unary, ServerStream and ClientStream are called
/// by a generated service's methods, on a gRPC thread; the object frees itself in OnDone.

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <grpcpp/support/server_callback.h>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "server/rpc/call.h"
#include "server/rpc/pending_op.h"

namespace graft::server::rpc {

/// Sends a server stream's messages, one in flight: the next is built when the last is on its way.
template <typename Response>
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  /// False if the call is broken or was interrupted: return.
  virtual Awaitable<bool> Write(Response message) = 0;
};

/// Receives a client stream's messages.
template <typename Request>
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  /// False at the end. Throws if the call is interrupted. The message is valid until the next Read.
  virtual Awaitable<bool> Read() = 0;
  virtual Request& message() = 0;
};

template <typename Request, typename Response>
using UnaryBody = std::function<Awaitable<StatusOr<Response>>(CallContext&, const Request&)>;
template <typename Request, typename Response>
using ServerStreamBody =
    std::function<Awaitable<Status>(CallContext&, const Request&, StreamWriter<Response>&)>;
template <typename Request, typename Response>
using ClientStreamBody =
    std::function<Awaitable<StatusOr<Response>>(CallContext&, StreamReader<Request>&)>;

namespace internal {

template <typename Response>
Awaitable<Status> Store(Awaitable<StatusOr<Response>> running, Response* response) {
  StatusOr<Response> result = co_await std::move(running);
  if (!result.ok()) co_return result.status();
  *response = std::move(*result);
  co_return OkStatus();
}

/// One for all methods: what differs between them is in `body`.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(CallHost& host, const CallOptions& options, grpc::CallbackServerContext* context,
               CallState::Body body)
      : state_(std::make_shared<CallState>(host, options, *context)) {
    state_->Start(std::move(body),
                  [this](grpc::Status status) { this->Finish(std::move(status)); });
  }
  void OnCancel() override { state_->Cancel(); }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<CallState> state_;
};

template <typename Request, typename Response>
class ServerStreamReactor final : public grpc::ServerWriteReactor<Response>,
                                  public StreamWriter<Response> {
 public:
  ServerStreamReactor(CallHost& host, const CallOptions& options,
                      grpc::CallbackServerContext* context, const Request* request,
                      ServerStreamBody<Request, Response> body)
      : context_(context), state_(std::make_shared<CallState>(host, options, *context)) {
    state_->Start([this, request, body = std::move(body)](
                      CallContext& call) { return body(call, *request, *this); },
                  [this](grpc::Status status) { this->Finish(std::move(status)); });
  }
  Awaitable<bool> Write(Response message) override {
    message_ = std::move(message);
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(
        [this](auto handler) {
          // A client that reads nothing must not outlive its deadline for long, and a write can't be
          // taken back: the call is cut off. One that reads is told why the call ends. A drain
          // leaves it the server's grace to read.
          if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
            slot.assign([this](asio::cancellation_type) {
              if (!state_->draining()) CutOffSoon();
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
  std::shared_ptr<CallState> state_;
  std::shared_ptr<PendingOp> pending_ = std::make_shared<PendingOp>();
  std::shared_ptr<asio::steady_timer> cut_off_;  ///< Set while an interrupted write waits.
  Response message_;
};

template <typename Request, typename Response>
class ClientStreamReactor final : public grpc::ServerReadReactor<Request>,
                                  public StreamReader<Request> {
 public:
  ClientStreamReactor(CallHost& host, const CallOptions& options,
                      grpc::CallbackServerContext* context, Response* response,
                      ClientStreamBody<Request, Response> body)
      : state_(std::make_shared<CallState>(host, options, *context)) {
    state_->Start([this, response, body = std::move(body)](
                      CallContext& call) { return Store(body(call, *this), response); },
                  [this](grpc::Status status) { this->Finish(std::move(status)); });
  }
  Awaitable<bool> Read() override {
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
  std::shared_ptr<CallState> state_;
  std::shared_ptr<PendingOp> pending_ = std::make_shared<PendingOp>();
  Request message_;
};

}  // namespace internal

template <typename Request, typename Response>
grpc::ServerUnaryReactor* Unary(CallHost& host, const CallOptions& options,
                                grpc::CallbackServerContext* context, const Request* request,
                                Response* response, UnaryBody<Request, Response> body) {
  return new internal::UnaryReactor(host, options, context,
                                    [request, response, body = std::move(body)](CallContext& call) {
                                      return internal::Store(body(call, *request), response);
                                    });
}

template <typename Request, typename Response>
grpc::ServerWriteReactor<Response>* ServerStream(CallHost& host, const CallOptions& options,
                                                 grpc::CallbackServerContext* context,
                                                 const Request* request,
                                                 ServerStreamBody<Request, Response> body) {
  return new internal::ServerStreamReactor<Request, Response>(host, options, context, request,
                                                              std::move(body));
}

template <typename Request, typename Response>
grpc::ServerReadReactor<Request>* ClientStream(CallHost& host, const CallOptions& options,
                                               grpc::CallbackServerContext* context,
                                               Response* response,
                                               ClientStreamBody<Request, Response> body) {
  return new internal::ClientStreamReactor<Request, Response>(host, options, context, response,
                                                              std::move(body));
}

}  // namespace graft::server::rpc
