#include "server/http/byte_pipe.h"

#include <utility>

namespace graft::server::http {

calls::Awaitable<bool> BytePipe::Write(std::string bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) co_return false;
    if (bytes_.empty()) {
      bytes_ = std::move(bytes);
    } else {
      bytes_ += bytes;
    }
  }
  news_.Notify();
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (is_closed_) co_return false;
      if (bytes_.size() < capacity_) co_return true;
    }
    if (!co_await room_.Wait()) co_return false;
  }
}

void BytePipe::End() {
  {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
  }
  news_.Notify();
}

calls::Awaitable<std::string> BytePipe::Read() {
  std::string bytes;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      bytes = std::exchange(bytes_, {});
      if (!bytes.empty() || is_ended_) break;
    }
    if (!co_await news_.Wait()) break;
  }
  room_.Notify();
  co_return bytes;
}

void BytePipe::Close() {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    bytes_.clear();
  }
  room_.Notify();
  news_.Notify();
}

}  // namespace graft::server::http
