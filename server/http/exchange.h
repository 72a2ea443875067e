#pragma once
/// One request and its answer, between the io thread, where its handler runs, and the strand of its
/// connection. Thread safety: as each part says.

#include <mutex>
#include <optional>
#include <string>

#include "server/http/byte_pipe.h"
#include "server/http/request.h"

namespace graft::server::http {

class Exchange final : public Responder, public BodyReader {
 public:
  Exchange(const asio::any_io_executor& io, const asio::any_io_executor& strand);

  // On the io thread.
  void Send(AnswerHead head, std::string body) override;
  void Begin(AnswerHead head) override;
  calls::Awaitable<bool> Write(std::string bytes) override;
  calls::Awaitable<StatusOr<std::string>> Read() override;
  /// The call has ended. Once.
  void Finish(Status status);

  // On the strand.
  /// More of the body; false if nobody reads it any more.
  calls::Awaitable<bool> Feed(std::string bytes) { return body_.Write(std::move(bytes)); }
  /// The body's end, or where it broke off.
  void EndBody(bool is_whole);
  /// The next bytes of an answer in pieces; empty once the call has ended.
  calls::Awaitable<std::string> Next() { return answer_.Read(); }
  /// The answer's bytes are of no use any more; Next waits for the call's end.
  void Close() { answer_.Close(); }
  /// Behind the first Next: what Send or Begin was given. Nullopt if neither was called.
  std::optional<AnswerHead> head();
  /// Behind the end.
  std::string TakeBody();
  Status status();

 private:
  BytePipe answer_;
  BytePipe body_;
  std::mutex mutex_;  ///< Of what follows.
  std::optional<AnswerHead> head_;
  std::string whole_;
  Status status_;
  bool is_body_whole_ = false;
};

}  // namespace graft::server::http
