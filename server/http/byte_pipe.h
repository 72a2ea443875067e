#pragma once
/// Bytes from a coroutine of one executor to one of another, bounded. What was written while the
/// reader was away comes at once: many small pieces cost one write to a socket.

#include <mutex>
#include <string>

#include "server/http/wakeup.h"

namespace graft::server::http {

/// Thread safety: Write and End on the writer's executor, Read on the reader's, Close on any.
class BytePipe {
 public:
  BytePipe(const asio::any_io_executor& writer, const asio::any_io_executor& reader,
           size_t capacity)
      : capacity_(capacity), room_(writer), news_(reader) {}

  /// Waits until less than the capacity is unread. False if the reader closed, or the caller was
  /// interrupted.
  calls::Awaitable<bool> Write(std::string bytes);
  /// Nothing follows.
  void End();

  /// All that has come since; empty at the end.
  calls::Awaitable<std::string> Read();
  /// Nobody reads any more: Write returns false. Read waits for the end all the same.
  void Close();

 private:
  const size_t capacity_;
  Wakeup room_;
  Wakeup news_;
  std::mutex mutex_;
  std::string bytes_;  ///< Guarded, as is what follows.
  bool is_ended_ = false;
  bool is_closed_ = false;
};

}  // namespace graft::server::http
