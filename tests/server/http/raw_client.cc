#include "raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "common/base/utf8.h"

namespace graft::server::http {

RawClient::RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect");
}
RawClient::RawClient(RawClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), buffer_(std::move(other.buffer_)) {}
RawClient::~RawClient() {
  if (socket_ >= 0) ::close(socket_);
}

bool RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void RawClient::CloseWriting() { ::shutdown(socket_, SHUT_WR); }

void RawClient::Reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(std::exchange(socket_, -1));
}

std::optional<std::string> RawClient::ReadSome() {
  if (!buffer_.empty()) return std::exchange(buffer_, {});
  std::string bytes(65536, '\0');
  const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  was_reset_ = was_reset_ || (got < 0 && errno == ECONNRESET);
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return bytes;
}

bool RawClient::IsClosed() {
  const auto bytes = ReadSome();
  return bytes && bytes->empty();
}

bool RawClient::ReadUntil(std::string_view end) {
  while (buffer_.find(end) == std::string::npos) {
    std::string before = std::exchange(buffer_, {});
    const auto more = ReadSome();
    buffer_ = std::move(before);
    if (!more || more->empty()) return false;
    buffer_ += *more;
  }
  return true;
}

bool RawClient::ReadBytes(size_t bytes) {
  while (buffer_.size() < bytes) {
    std::string before = std::exchange(buffer_, {});
    const auto more = ReadSome();
    buffer_ = std::move(before);
    if (!more || more->empty()) return false;
    buffer_ += *more;
  }
  return true;
}

std::string RawClient::TakeThrough(std::string_view end) {
  const size_t size = buffer_.find(end) + end.size();
  std::string taken = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return taken;
}

RawClient::Response RawClient::Read(bool without_body) {
  Response response;
  if (!ReadUntil("\r\n\r\n")) return response;
  response.head = TakeThrough("\r\n\r\n");
  std::from_chars(response.head.data() + 9, response.head.data() + 12, response.status);
  const std::string head = AsciiLower(response.head);
  if (without_body || response.status == 100) {
    response.is_whole = true;
  } else if (head.find("transfer-encoding: chunked") != std::string::npos) {
    while (ReadUntil("\r\n")) {
      const std::string line = TakeThrough("\r\n");
      size_t size = 0;
      std::from_chars(line.data(), line.data() + line.size() - 2, size, 16);
      if (!ReadBytes(size + 2)) return response;
      response.body += buffer_.substr(0, size);
      buffer_.erase(0, size + 2);
      if (size == 0) {
        response.is_whole = true;
        return response;
      }
    }
  } else if (const size_t at = head.find("content-length: "); at != std::string::npos) {
    size_t size = 0;
    std::from_chars(head.data() + at + 16, head.data() + head.size(), size);
    response.is_whole = ReadBytes(size);
    response.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
  } else {
    while (true) {
      const auto more = ReadSome();
      if (!more || more->empty()) break;
      response.body += *more;
    }
    response.is_whole = true;
  }
  return response;
}

}  // namespace graft::server::http
