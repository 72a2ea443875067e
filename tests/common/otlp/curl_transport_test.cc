/// libcurl against a socket of the test's own.

#include "common/otlp/curl_transport.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/descriptor.h"

namespace graft::otlp {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// Listens on a free port; answers the first connection as it is told.
class Server {
 public:
  Server() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_.get(), 1), 0);
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Server() { Join(); }
  /// Reads to the end of a body of `bytes`, then sends `answer`; keeps silent if that is empty.
  void Answer(size_t bytes, const std::string& answer) {
    thread_ = std::thread([this, bytes, answer] {
      const Descriptor connection(::accept(socket_.get(), nullptr, nullptr));
      std::string piece(64 << 10, '\0');
      while (true) {
        const size_t end = request_.find("\r\n\r\n");
        if (end != std::string::npos && request_.size() >= end + 4 + bytes) break;
        const ssize_t size = ::recv(connection.get(), piece.data(), piece.size(), 0);
        if (size <= 0) return;
        request_.append(piece, 0, static_cast<size_t>(size));
      }
      if (answer.empty()) {
        // Until the other side leaves.
        while (::recv(connection.get(), piece.data(), piece.size(), 0) > 0) continue;
        return;
      }
      EXPECT_EQ(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
    });
  }
  std::string Join() {
    if (thread_.joinable()) thread_.join();
    return request_;
  }
  int port() const { return port_; }

 private:
  const Descriptor socket_;
  int port_ = 0;
  std::string request_;
  std::thread thread_;
};

std::unique_ptr<Transport> Connect(int port) {
  Settings settings;
  settings.url = *ParseUrl("http://127.0.0.1:" + std::to_string(port), "/v1/traces");
  settings.headers = {{"X-Key", "a b"}, {"X-Empty", ""}};
  return *MakeCurlTransport(settings);
}

const auto kAlways = [] { return true; };

TEST(CurlTransportTest, ABatchIsPostedWithItsHeaders) {
  Server server;
  const std::string body(200'000, 'x');
  server.Answer(body.size(),
                "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait");

  const Answer answer = Connect(server.port())->Post(body, 20s, kAlways);

  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "wait");
  EXPECT_EQ(answer.retry_after, 7s);
  const std::string request = server.Join();
  EXPECT_THAT(request, testing::StartsWith("POST /v1/traces HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nX-Key: a b\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nX-Empty:"));
  EXPECT_TRUE(request.ends_with(body));
}

TEST(CurlTransportTest, WhereNobodyListensThereIsAReason) {
  int port = 0;
  {
    const Server gone;
    port = gone.port();
  }
  const Answer answer = Connect(port)->Post("{}", 20s, kAlways);
  EXPECT_EQ(answer.status, 0);
  EXPECT_THAT(answer.error, HasSubstr("127.0.0.1"));
}

TEST(CurlTransportTest, ACollectorThatIsSilentIsLeftWhenItsTimeIsUp) {
  Server server;
  server.Answer(2, "");
  const Answer answer = Connect(server.port())->Post("{}", 50ms, kAlways);
  EXPECT_EQ(answer.status, 0);
  EXPECT_FALSE(answer.error.empty());
}

TEST(CurlTransportTest, ACollectorThatIsSilentIsLeftOnceItIsToEnd) {
  Server server;
  server.Answer(2, "");
  std::atomic<int> asked = 0;
  const Answer answer =
      Connect(server.port())->Post("{}", std::chrono::hours(1), [&] { return ++asked < 3; });
  EXPECT_EQ(answer.status, 0);
  EXPECT_GE(asked, 3);
}

}  // namespace
}  // namespace graft::otlp
