#pragma once
/// A unary call to another process, as an awaitable that resumes on the io thread.

#include <chrono>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <grpcpp/client_context.h>
#include <boost/asio/associated_cancellation_slot.hpp>

#include "proto/grpc_status.h"
#include "proto/grpc_trace.h"
#include "server/calls/await.h"

namespace graft::server::background {

/// Calls a unary method of another process. `method` is a member of the stub's async interface:
///   AsyncUnary<Reply>(runtime, stub.async(), &Engine::StubInterface::async_interface::Classify,
///   request, deadline, trace)
/// The call is below `trace`. Cancelling the caller cancels it. Returns
/// the peer's status with its details. Ownership: keeps request, reply and context until the call
/// is over; `async` must outlive it.
template <typename Reply, typename Async, typename Request>
calls::Awaitable<StatusOr<Reply>> AsyncUnary(
    calls::Runtime& runtime, std::type_identity_t<Async>* async,
    void (Async::*method)(grpc::ClientContext*, const Request*, Reply*,
                          std::function<void(grpc::Status)>),
    Request request, std::chrono::system_clock::time_point deadline,
    const tracing::SpanContext& trace) {
  struct Call {
    grpc::ClientContext context;
    Request request;
    Reply reply;
  };
  auto call = std::make_shared<Call>();
  call->request = std::move(request);
  call->context.set_deadline(deadline);
  proto::AddTrace(trace, call->context);

  auto begin = [](auto handler, calls::Runtime* rt, Async* stub, decltype(method) m,
                  std::shared_ptr<Call> c) {
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([c](boost::asio::cancellation_type) { c->context.TryCancel(); });
    }
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    (stub->*m)(&c->context, &c->request, &c->reply, [rt, shared, c](grpc::Status status) {
      boost::asio::post(rt->io(), [shared, c, status = std::move(status)]() mutable {
        auto complete = std::move(*shared);
        auto cancel = boost::asio::get_associated_cancellation_slot(complete);
        if (cancel.is_connected()) cancel.clear();
        std::move(complete)(std::move(status));
      });
    });
  };
  grpc::Status status = co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&,
                                                             void(grpc::Status)>(
      begin, boost::asio::use_awaitable, &runtime, async, method, call);
  if (!status.ok()) co_return proto::FromGrpcStatus(status);
  co_return std::move(call->reply);
}

}  // namespace graft::server::background
