#pragma once
/// The bytes of a connection: heads and bodies in, answers out, each within its time. The one place
/// that knows what a connection is made of: for TLS, stream_ becomes an asio::ssl::stream over it.
/// Thread safety: confined to the socket's executor, a strand.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "server/calls/await.h"
#include "server/http/head.h"
#include "server/http/head_parser.h"
#include "server/http/http_server.h"
#include "server/http/request.h"

namespace graft::server::http {

/// The other side is silent, or gone.
struct Gone {};

/// How an answer goes out.
struct AnswerForm {
  int version = 11;      ///< The request's.
  bool is_head = false;  ///< A HEAD's: without the body.
  bool closes = false;   ///< The last on this connection.
  std::string request_id;
  std::string traceparent;  ///< Of the call; empty: it is in no trace.
};

class Wire {
 public:
  Wire(boost::asio::ip::tcp::socket socket, const Limits& limits);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// The next request's head. Gone if the client left, or was silent for too long between two
  /// requests; a refusal for what is no head, or one that comes too slowly.
  calls::Awaitable<std::variant<Head, Refusal, Gone>> ReadHead();
  /// Of the request whose head was read: whether bytes of a body follow, and how many it says.
  bool HasBody() const;
  std::optional<uint64_t> DeclaredBytes() const;
  /// The next piece of the body, 64 KiB at most; empty at its end, which `until` comes before at
  /// the latest. A refusal for what is malformed or too slow; Gone if the client left.
  calls::Awaitable<std::variant<std::string, Refusal, Gone>> ReadBody(
      std::chrono::steady_clock::time_point until);
  /// Whether the request was read to its end.
  bool IsRead() const;

  // These return false if the client left or took nothing for too long.
  calls::Awaitable<bool> WriteContinue();
  calls::Awaitable<bool> WriteWhole(const AnswerHead& head, std::string body,
                                    const AnswerForm& form);
  calls::Awaitable<bool> BeginPieces(const AnswerHead& head, const AnswerForm& form);
  calls::Awaitable<bool> WritePiece(std::string_view piece);
  calls::Awaitable<bool> EndPieces();

  /// Calls `left` if the client leaves before StopWatching, also behind the beginning of another
  /// request. Nothing may be read meanwhile.
  void WatchForEnd(std::function<void()> left);
  void StopWatching();

  /// Ends it so that the client can still read what was written: a close with bytes unread would
  /// take the answer back.
  calls::Awaitable<void> CloseGently();
  void Close();
  /// Ends it with a reset, so that nobody takes what was written for a whole answer.
  void Abort();

  /// The address that the client called, without port.
  std::string LocalAddress() const;
  std::string PeerAddress() const;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// Cancels what is being read or written at `when`, until ItCame.
  void Expect(TimePoint when);
  /// True if it came before.
  bool ItCame();
  calls::Awaitable<bool> WriteBytes(boost::asio::const_buffer bytes);
  std::variant<Head, Refusal, Gone> TakeHead(const Scan& scan);
  void WatchOn(std::function<void()> left);
  /// Waits for what a chunked body has at least.
  calls::Awaitable<std::optional<std::variant<std::string, Refusal, Gone>>> BeginChunks(
      TimePoint until);

  boost::asio::ip::tcp::socket stream_;
  const Limits limits_;
  boost::asio::steady_timer timer_;
  /// How many things were expected: a timer that is told late, or behind our end, was another's.
  std::shared_ptr<uint64_t> expected_ = std::make_shared<uint64_t>(0);
  bool is_late_ = false;
  /// The same of watches.
  std::shared_ptr<uint64_t> watched_ = std::make_shared<uint64_t>(0);
  boost::beast::flat_buffer buffer_;     ///< What came and isn't read yet.
  std::optional<RequestParser> parser_;  ///< Of the current request.
  bool has_body_begun_ = false;
  bool is_chunked_ = false;  ///< Of the current answer.
};

}  // namespace graft::server::http
