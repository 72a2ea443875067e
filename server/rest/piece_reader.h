#pragma once
/// A body as the stream of messages that an upload or an import reads: a header, pieces of bytes,
/// at last their hash.
/// Ownership: borrows the body.

#include <utility>

#include "common/base/sha256.h"
#include "common/base/status.h"
#include "server/calls/await.h"
#include "server/calls/streams.h"
#include "server/http/request.h"

namespace graft::server::rest {

template <typename Message>
class PieceReader : public calls::StreamReader<Message> {
 public:
  explicit PieceReader(http::BodyReader& body) : body_(body) {}
  calls::Awaitable<bool> Read() override {
    if (is_over_ || !status_.ok()) co_return false;
    message_.Clear();
    StatusOr<bool> made = co_await Advance();
    if (made.ok()) co_return *made;
    status_ = std::move(made).status();
    co_return false;
  }
  Message& message() override { return message_; }
  /// Why Read returned false, if it wasn't the end.
  const Status& status() const { return status_; }

 protected:
  /// Makes the next message; false at the end. Not called behind the message with the hash.
  virtual calls::Awaitable<StatusOr<bool>> Advance() = 0;
  /// Makes the last message: the hash of what was added to hash_.
  void SetHash() {
    is_over_ = true;
    message_.set_sha256(hash_.HexDigest());
  }

  http::BodyReader& body_;
  Message message_;
  Sha256 hash_;

 private:
  bool is_over_ = false;
  Status status_;
};

}  // namespace graft::server::rest
