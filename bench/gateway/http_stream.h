#pragma once
/// A client of HTTP that does as little as can be: what is measured is the server.

#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/status.h"

namespace graft::bench {

/// How a stream of tokens came.
struct Streamed {
  std::chrono::steady_clock::duration first{};  ///< From the request's last byte to the first part.
  int64_t tokens = 0;
};

/// One connection, which stays. Thread safety: confined to one thread.
class HttpStream {
 public:
  /// Throws std::runtime_error, as all that follows, if the server isn't there.
  explicit HttpStream(int port);
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;
  ~HttpStream();

  /// POSTs a chat of OpenAI's form, which asks for a stream and its usage, and reads all of it.
  Streamed Chat(const std::string& body);

 private:
  void ReadMore();

  int socket_ = -1;
  std::string buffer_;
};

}  // namespace graft::bench
