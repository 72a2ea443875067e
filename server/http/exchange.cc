#include "server/http/exchange.h"

#include <utility>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

namespace graft::server::http {
namespace {

/// What may lie unread between a handler and a slow client, or a fast upload and the disk.
constexpr size_t kAnswerBytes = 64 << 10;
constexpr size_t kBodyBytes = 256 << 10;

}  // namespace

Exchange::Exchange(const asio::any_io_executor& io, const asio::any_io_executor& strand)
    : answer_(io, strand, kAnswerBytes), body_(strand, io, kBodyBytes) {}

void Exchange::Send(AnswerHead head, std::string body) {
  const std::lock_guard lock(mutex_);
  head_ = std::move(head);
  whole_ = std::move(body);
}

void Exchange::Begin(AnswerHead head) {
  const std::lock_guard lock(mutex_);
  head_ = std::move(head);
}

calls::Awaitable<bool> Exchange::Write(std::string bytes) {
  return answer_.Write(std::move(bytes));
}

calls::Awaitable<StatusOr<std::string>> Exchange::Read() {
  std::string bytes = co_await body_.Read();
  if (!bytes.empty()) co_return bytes;
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    co_return CancelledError("the call was interrupted");
  const std::lock_guard lock(mutex_);
  if (!is_body_whole_) {
    co_return InvalidArgumentError("the request's body broke off")
        .AddDetail({"MALFORMED_REQUEST", {}, 0, {}, {}});
  }
  co_return bytes;
}

void Exchange::Finish(Status status) {
  {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }
  body_.Close();
  answer_.End();
}

void Exchange::EndBody(bool is_whole) {
  {
    const std::lock_guard lock(mutex_);
    is_body_whole_ = is_whole;
  }
  body_.End();
}

std::optional<AnswerHead> Exchange::head() {
  const std::lock_guard lock(mutex_);
  return head_;
}

std::string Exchange::TakeBody() {
  const std::lock_guard lock(mutex_);
  return std::exchange(whole_, {});
}

Status Exchange::status() {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace graft::server::http
