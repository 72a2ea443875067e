#pragma once
/// What a handler is given, and how it answers. Handlers are coroutines on the io thread, behind
/// the chain of server/calls, and know nothing of sockets.

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "server/calls/await.h"
#include "server/calls/call.h"

namespace graft::server::http {

/// A body that isn't held whole.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  /// The next bytes; empty at the end. Errors: InvalidArgument if the body broke off; Cancelled if
  /// the call is interrupted.
  virtual calls::Awaitable<StatusOr<std::string>> Read() = 0;
};

struct Request {
  std::string method;                            ///< "GET"; a HEAD is read as one.
  std::map<std::string, std::string> arguments;  ///< Of the route's pattern: {id}.
  std::map<std::string, std::string> query;
  std::string content_type;      ///< As sent.
  std::string last_event_id;     ///< Of a stream that is taken up again; empty: none.
  std::string body;              ///< Whole, unless the route takes a stream.
  BodyReader* stream = nullptr;  ///< Of such a route.
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// An answer's head.
struct AnswerHead {
  int status = 200;
  std::string content_type = "application/json";
  Headers headers;
};

class Responder {
 public:
  virtual ~Responder() = default;
  /// The answer, whole; goes out once the handler has returned OK. Not behind a Write.
  virtual void Send(AnswerHead head, std::string body) = 0;
  /// What Write's bytes belong to. Goes out with the first of them: until then an error can still
  /// take its place.
  virtual void Begin(AnswerHead head) = 0;
  /// Sends more; waits while the client is behind. False if it went away or the call was
  /// interrupted: return. Requires: Begin.
  virtual calls::Awaitable<bool> Write(std::string bytes) = 0;
};

using Handler =
    std::function<calls::Awaitable<Status>(calls::CallContext&, const Request&, Responder&)>;

/// Content type of server-sent events: an error behind the first byte is told as an event.
inline constexpr const char* kEventStream = "text/event-stream";
/// One such event.
inline std::string DataEvent(const std::string& line) { return "data: " + line + "\n\n"; }

}  // namespace graft::server::http
