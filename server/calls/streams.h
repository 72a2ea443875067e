#pragma once
/// Streams of messages, as methods see them, and the three forms of methods. Protocols implement
/// the streams.

#include <functional>
#include <utility>

#include "common/base/status.h"
#include "server/calls/await.h"
#include "server/calls/call.h"

namespace graft::server::calls {

/// Sends a stream's messages, one in flight: the next is built when the last is on its way.
template <typename Response>
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  /// False if the call is broken or was interrupted: return.
  virtual Awaitable<bool> Write(Response message) = 0;
};

/// Receives a stream's messages.
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

/// Puts what a method answers into `response`.
template <typename Response>
Awaitable<Status> StoreAnswer(Awaitable<StatusOr<Response>> running, Response* response) {
  StatusOr<Response> result = co_await std::move(running);
  if (!result.ok()) co_return result.status();
  *response = std::move(*result);
  co_return OkStatus();
}

}  // namespace graft::server::calls
