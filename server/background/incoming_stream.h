#pragma once
/// A server stream of another process, read message by message by a coroutine on the io thread.

#include <chrono>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>
#include <boost/asio/associated_cancellation_slot.hpp>

#include "proto/grpc_status.h"
#include "proto/grpc_trace.h"
#include "server/background/engine_link.h"
#include "server/calls/await.h"
#include "server/calls/pending_op.h"

namespace graft::server::background {

/// Reads nothing ahead: a peer that sends faster than Read is called is held up by gRPC's flow
/// control. Cancelling a coroutine that reads cancels the call; so does destruction before its end.
/// Thread safety: confined to the io thread.
template <typename Reply>
class IncomingStream final : public ReplyStream<Reply> {
 public:
  /// Begins the call, which is below `span` and ends it. `method` is a member of the stub's async
  /// interface:
  ///   IncomingStream<Part> stream(runtime, stub.async(), kGenerate, request, deadline, span);
  ///   while (auto part = co_await stream.Read()) ...;
  ///   stream.status()
  template <typename Async, typename Request>
  IncomingStream(calls::Runtime& runtime, std::type_identity_t<Async>* async,
                 void (Async::*method)(grpc::ClientContext*, const Request*,
                                       grpc::ClientReadReactor<Reply>*),
                 Request request, std::chrono::system_clock::time_point deadline,
                 tracing::ActiveSpan span)
      : reader_(std::make_shared<Reader>(runtime)) {
    auto kept = std::make_shared<Request>(std::move(request));
    reader_->request = kept;
    reader_->context.set_deadline(deadline);
    proto::AddTrace(span.context(), reader_->context);
    reader_->span = std::move(span);
    reader_->self = reader_;
    (async->*method)(&reader_->context, kept.get(), reader_.get());
    // Until it is let go of, gRPC doesn't end the call under a Read that is about to begin.
    reader_->AddHold();
    reader_->StartCall();
  }
  ~IncomingStream() override {
    if (reader_->done) return;
    reader_->context.TryCancel();
    reader_->LetGo();
  }
  IncomingStream(const IncomingStream&) = delete;
  IncomingStream& operator=(const IncomingStream&) = delete;

  calls::Awaitable<std::optional<Reply>> Read() override {
    const bool ok =
        co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(bool)>(
            [](auto handler, std::shared_ptr<Reader> reader) {
              if (auto slot = boost::asio::get_associated_cancellation_slot(handler);
                  slot.is_connected())
                slot.assign(
                    [reader](boost::asio::cancellation_type) { reader->context.TryCancel(); });
              reader->pending.Await(std::move(handler));
              reader->StartRead(&reader->reply);
            },
            boost::asio::use_awaitable, reader_);
    if (!ok) co_return std::nullopt;
    co_return std::move(reader_->reply);
  }
  Status status() const override { return proto::FromGrpcStatus(reader_->status); }

 private:
  struct Reader final : grpc::ClientReadReactor<Reply> {
    explicit Reader(calls::Runtime& r) : runtime(r) {}

    void OnReadDone(bool ok) override {
      // At the end OnDone comes and brings the status.
      if (!ok) return LetGo();
      boost::asio::post(runtime.io(), [kept = self] { kept->pending.Complete(true); });
    }
    void OnDone(const grpc::Status& end) override {
      boost::asio::post(runtime.io(), [kept = std::move(self), end] {
        kept->status = end;
        kept->done = true;
        kept->span.EndWith(proto::FromGrpcStatus(end));
        kept->pending.Complete(false);
      });
    }
    void LetGo() {
      if (!let_go.exchange(true)) this->RemoveHold();
    }

    calls::Runtime& runtime;
    grpc::ClientContext context;
    std::shared_ptr<void> request;
    Reply reply;
    std::shared_ptr<Reader> self;  ///< Until OnDone.
    std::atomic<bool> let_go = false;
    // On the io thread only.
    calls::PendingOp pending;
    grpc::Status status;
    bool done = false;
    tracing::ActiveSpan span;
  };

  const std::shared_ptr<Reader> reader_;
};

}  // namespace graft::server::background
