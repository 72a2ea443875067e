#include "server/http/wire.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "common/tracing/trace_context.h"

namespace graft::server::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using beast::error_code;
using std::chrono::steady_clock;

constexpr size_t kPiece = 64 << 10;

/// Errors come as values.
constexpr auto AsTuple() { return asio::experimental::as_tuple(asio::use_awaitable); }

Refusal TooSlow() { return {408, "the request's body came too slowly", "request_timeout", {}}; }

bool IsOfParser(const error_code& error) {
  return error.category() == bhttp::make_error_code(bhttp::error::bad_method).category();
}

template <typename Message>
void Fill(Message& message, const AnswerHead& head, const AnswerForm& form) {
  message.result(static_cast<unsigned>(head.status));
  if (!head.content_type.empty()) message.set(bhttp::field::content_type, head.content_type);
  message.set(bhttp::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  message.set("X-Request-Id", form.request_id);
  if (!form.traceparent.empty()) message.set(tracing::kTraceparent, form.traceparent);
  for (const auto& [name, value] : head.headers) message.set(name, value);
  message.keep_alive(!form.closes);
}

}  // namespace

Wire::Wire(asio::ip::tcp::socket socket, const Limits& limits)
    : stream_(std::move(socket)),
      limits_(limits),
      timer_(stream_.get_executor()),
      buffer_(kMaxHeadBytes + kPiece) {}

Wire::~Wire() {
  ++*expected_;
  ++*watched_;
}

void Wire::Expect(TimePoint when) {
  is_late_ = false;
  timer_.expires_at(when);
  timer_.async_wait([this, expected = expected_, number = ++*expected_](const error_code& error) {
    if (error || number != *expected) return;
    is_late_ = true;
    error_code ignored;
    stream_.cancel(ignored);
  });
}

bool Wire::ItCame() {
  ++*expected_;
  timer_.cancel();
  return !is_late_;
}

std::variant<Head, Refusal, Gone> Wire::TakeHead(const Scan& scan) {
  buffer_.consume(scan.skip);
  has_body_begun_ = false;
  parser_.emplace();
  auto parsed = ParseHead({static_cast<const char*>(buffer_.data().data()), scan.size}, *parser_);
  if (auto* refusal = std::get_if<Refusal>(&parsed)) return std::move(*refusal);
  buffer_.consume(scan.size);
  return std::move(std::get<Head>(parsed));
}

calls::Awaitable<std::variant<Head, Refusal, Gone>> Wire::ReadHead() {
  parser_.reset();
  steady_clock::time_point until = steady_clock::now() + limits_.idle;
  bool has_begun = false;
  while (true) {
    const auto data = buffer_.data();
    const Scan scan = ScanHead({static_cast<const char*>(data.data()), data.size()});
    if (scan.result == Scan::Result::kRefused) co_return scan.refusal;
    if (scan.result == Scan::Result::kWhole) co_return TakeHead(scan);
    if (buffer_.size() > 0 && !std::exchange(has_begun, true))
      until = steady_clock::now() + limits_.head;
    Expect(until);
    auto [error, bytes] = co_await stream_.async_read_some(buffer_.prepare(4096), AsTuple());
    if (!ItCame() && has_begun)
      co_return Refusal{408, "the request came too slowly", "request_timeout", {}};
    if (error) co_return Gone{};
    buffer_.commit(bytes);
  }
}

bool Wire::HasBody() const { return parser_ && !parser_->is_done(); }
bool Wire::IsRead() const { return !HasBody(); }

std::optional<uint64_t> Wire::DeclaredBytes() const {
  const auto length = parser_->content_length();
  return length ? std::optional<uint64_t>(*length) : std::nullopt;
}

calls::Awaitable<std::optional<std::variant<std::string, Refusal, Gone>>> Wire::BeginChunks(
    TimePoint until) {
  while (buffer_.size() < kLeastChunkedBytes) {
    Expect(std::min(until, steady_clock::now() + limits_.stall));
    auto [error, bytes] = co_await stream_.async_read_some(buffer_.prepare(4096), AsTuple());
    if (!ItCame()) co_return TooSlow();
    if (error) co_return Gone{};
    buffer_.commit(bytes);
  }
  co_return std::nullopt;
}

calls::Awaitable<std::variant<std::string, Refusal, Gone>> Wire::ReadBody(
    steady_clock::time_point until) {
  if (HasBody() && parser_->chunked() && !std::exchange(has_body_begun_, true)) {
    auto ended = co_await BeginChunks(until);
    if (ended) co_return std::move(*ended);
  }
  std::string piece(kPiece, '\0');
  while (!parser_->is_done()) {
    auto& body = parser_->get().body();
    body.data = piece.data();
    body.size = piece.size();
    Expect(std::min(until, steady_clock::now() + limits_.stall));
    auto [error, bytes] = co_await bhttp::async_read_some(stream_, buffer_, *parser_, AsTuple());
    if (!ItCame()) co_return TooSlow();
    if (error && error != bhttp::error::need_buffer) {
      if (error != bhttp::error::partial_message && IsOfParser(error))
        co_return MalformedRequest(error.message());
      co_return Gone{};
    }
    if (body.size < piece.size()) {
      piece.resize(piece.size() - body.size);
      co_return piece;
    }
  }
  co_return std::string();
}

calls::Awaitable<bool> Wire::WriteBytes(asio::const_buffer bytes) {
  while (bytes.size() > 0) {
    Expect(steady_clock::now() + limits_.stall);
    auto [error, written] = co_await stream_.async_write_some(bytes, AsTuple());
    if (!ItCame() || error) co_return false;
    bytes += written;
  }
  co_return true;
}

calls::Awaitable<bool> Wire::WriteContinue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  return WriteBytes(asio::buffer(kContinue));
}

calls::Awaitable<bool> Wire::WriteWhole(const AnswerHead& head, std::string body,
                                        const AnswerForm& form) {
  bhttp::response<bhttp::string_body> message;
  message.version(static_cast<unsigned>(form.version));
  Fill(message, head, form);
  if (head.status != 204) message.content_length(body.size());
  if (!form.is_head) message.body() = std::move(body);
  bhttp::response_serializer<bhttp::string_body> serializer(message);
  serializer.split(form.is_head);
  while (!(form.is_head ? serializer.is_header_done() : serializer.is_done())) {
    Expect(steady_clock::now() + limits_.stall);
    auto [error, written] = co_await bhttp::async_write_some(stream_, serializer, AsTuple());
    if (!ItCame() || error) co_return false;
  }
  co_return true;
}

calls::Awaitable<bool> Wire::BeginPieces(const AnswerHead& head, const AnswerForm& form) {
  bhttp::response<bhttp::empty_body> message;
  message.version(static_cast<unsigned>(form.version));
  is_chunked_ = form.version == 11;
  Fill(message, head, form);
  if (is_chunked_) message.chunked(true);
  bhttp::response_serializer<bhttp::empty_body> serializer(message);
  Expect(steady_clock::now() + limits_.stall);
  auto [error, written] = co_await bhttp::async_write_header(stream_, serializer, AsTuple());
  co_return ItCame() && !error;
}

calls::Awaitable<bool> Wire::WritePiece(std::string_view piece) {
  if (!is_chunked_) {
    const bool is_written = co_await WriteBytes(asio::buffer(piece));
    co_return is_written;
  }
  // Each write has its own time: who takes a large piece slowly is late only once he takes nothing.
  const std::string front = fmt::format("{:x}\r\n", piece.size());
  if (piece.size() <= kPiece) {
    const std::string chunk = fmt::format("{}{}\r\n", front, piece);
    const bool is_written = co_await WriteBytes(asio::buffer(chunk));
    co_return is_written;
  }
  static constexpr std::string_view kEnd = "\r\n";
  bool goes_on = co_await WriteBytes(asio::buffer(front));
  if (goes_on) goes_on = co_await WriteBytes(asio::buffer(piece));
  if (goes_on) goes_on = co_await WriteBytes(asio::buffer(kEnd));
  co_return goes_on;
}

calls::Awaitable<bool> Wire::EndPieces() {
  if (!is_chunked_) co_return true;
  static constexpr std::string_view kLast = "0\r\n\r\n";
  co_return co_await WriteBytes(asio::buffer(kLast));
}

void Wire::WatchForEnd(std::function<void()> left) {
  error_code ignored;
  stream_.non_blocking(true, ignored);
  ++*watched_;
  WatchOn(std::move(left));
}

void Wire::WatchOn(std::function<void()> left) {
  // What comes is the next requests'; whoever has sent that much isn't watched.
  if (buffer_.size() >= kMaxHeadBytes) return;
  stream_.async_wait(asio::ip::tcp::socket::wait_read,
                     [this, watched = watched_, number = *watched_,
                      left = std::move(left)](const error_code& error) mutable {
                       if (number != *watched) return;
                       if (error) return left();
                       error_code ended;
                       buffer_.commit(stream_.read_some(buffer_.prepare(4096), ended));
                       if (ended && ended != asio::error::would_block) return left();
                       WatchOn(std::move(left));
                     });
}

void Wire::StopWatching() {
  ++*watched_;
  error_code ignored;
  stream_.cancel(ignored);
}

calls::Awaitable<void> Wire::CloseGently() {
  error_code ignored;
  asio::ip::tcp::socket& socket = stream_;
  socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  const auto until = steady_clock::now() + limits_.linger;
  std::string dropped(kPiece, '\0');
  while (steady_clock::now() < until) {
    Expect(until);
    auto [error, bytes] = co_await stream_.async_read_some(asio::buffer(dropped), AsTuple());
    if (!ItCame() || error) break;
  }
  Close();
}

void Wire::Close() {
  error_code ignored;
  stream_.close(ignored);
}

void Wire::Abort() {
  error_code ignored;
  stream_.set_option(asio::socket_base::linger(true, 0), ignored);
  Close();
}

std::string Wire::LocalAddress() const {
  error_code error;
  const auto endpoint = stream_.local_endpoint(error);
  if (error) return {};
  const asio::ip::address address = endpoint.address();
  // Of a socket for both versions, as clients of version 4 call it.
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  return address.to_string();
}

std::string Wire::PeerAddress() const {
  error_code error;
  const auto endpoint = stream_.remote_endpoint(error);
  return error ? std::string() : endpoint.address().to_string();
}

}  // namespace graft::server::http
