#include "bench/gateway/http_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <stdexcept>
#include <string_view>

namespace graft::bench {

HttpStream::HttpStream(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval patience{120, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect to the HTTP port");
}
HttpStream::~HttpStream() { ::close(socket_); }

void HttpStream::ReadMore() {
  char bytes[16384];
  const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
  if (got <= 0) throw std::runtime_error("the HTTP stream broke off: " + buffer_);
  buffer_.append(bytes, static_cast<size_t>(got));
}

Streamed HttpStream::Chat(const std::string& body) {
  const std::string request =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    throw std::runtime_error("the server doesn't take the request");
  const auto begin = std::chrono::steady_clock::now();
  Streamed streamed;
  buffer_.clear();
  while (buffer_.find("data: ") == std::string::npos) ReadMore();
  streamed.first = std::chrono::steady_clock::now() - begin;
  // Of what was read only the end counts: the usage, the last event and the last chunk.
  constexpr std::string_view kEnd = "data: [DONE]\n\n\r\n0\r\n\r\n";
  while (!buffer_.ends_with(kEnd)) {
    constexpr size_t kKept = 2048;
    if (buffer_.size() > 2 * kKept) buffer_.erase(0, buffer_.size() - kKept);
    ReadMore();
  }
  constexpr std::string_view kTokens = "\"completion_tokens\":";
  const size_t at = buffer_.rfind(kTokens);
  if (at == std::string::npos) throw std::runtime_error("no usage in the stream: " + buffer_);
  std::from_chars(buffer_.data() + at + kTokens.size(), buffer_.data() + buffer_.size(),
                  streamed.tokens);
  return streamed;
}

}  // namespace graft::bench
