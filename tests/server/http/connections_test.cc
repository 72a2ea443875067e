/// Connections: one after the other, many at once, slow ones, half-closed ones, and how they end.

#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http_fixture.h"

namespace graft::server::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ConnectionsTest : public HttpFixture {};

TEST_F(ConnectionsTest, OneConnectionAnswersManyRequests) {
  RawClient client = Connect();

  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.Send(Get("/hello")));
    const auto response = client.Read();

    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hello");
    EXPECT_THAT(response.head, HasSubstr("X-Request-Id: req_"));
  }
}

TEST_F(ConnectionsTest, RequestsInARowAreAnsweredInOrder) {
  RawClient client = Connect();

  ASSERT_TRUE(
      client.Send(Get("/models/a") + Post("/echo", "[1]") + Get("/nothing") + Get("/models/b")));

  EXPECT_EQ(client.Read().body, "a");
  EXPECT_EQ(client.Read().body, "[1]");
  EXPECT_EQ(client.Read().status, 404);
  EXPECT_EQ(client.Read().body, "b");
}

TEST_F(ConnectionsTest, ARequestMayComeByteByByte) {
  RawClient client = Connect();

  for (const char byte : Post("/echo", "{\"a\":1}")) ASSERT_TRUE(client.Send({&byte, 1}));

  EXPECT_EQ(client.Read().body, "{\"a\":1}");
}

TEST_F(ConnectionsTest, AnEmptyBodyInChunksMayComeByteByByte) {
  RawClient client = Connect();
  ASSERT_TRUE(
      client.Send("POST /count HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                  "Expect: 100-continue\r\n\r\n"));
  ASSERT_EQ(client.Read().status, 100);

  for (const char byte : std::string("0\r\n\r\n")) {
    ASSERT_TRUE(client.Send({&byte, 1}));
    // So that the server has read it, most likely, before the next comes.
    Ask(Get("/hello"));
  }

  EXPECT_EQ(client.Read().body, "0");
}

TEST_F(ConnectionsTest, HeadIsAnsweredLikeGetWithoutItsBody) {
  RawClient client = Connect();

  ASSERT_TRUE(client.Send("HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n" + Get("/models/b")));
  const auto head = client.Read(true);

  EXPECT_EQ(head.status, 200);
  EXPECT_THAT(head.head, HasSubstr("Content-Length: 5"));
  EXPECT_EQ(client.Read().body, "b");
}

TEST_F(ConnectionsTest, AClientThatWaitsToContinueIsToldTo) {
  RawClient client = Connect();
  ASSERT_TRUE(
      client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                  "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"));

  EXPECT_EQ(client.Read().status, 100);
  ASSERT_TRUE(client.Send("{}"));

  EXPECT_EQ(client.Read().body, "{}");
}

TEST_F(ConnectionsTest, AClientThatWouldSendTooMuchIsToldBeforeItDoes) {
  const auto response =
      Ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n");

  EXPECT_EQ(response.status, 413);
  EXPECT_THAT(response.body, HasSubstr("body_too_large"));
}

TEST_F(ConnectionsTest, AClientThatOnlyClosedItsOwnDirectionIsAnswered) {
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/hello")));
  client.CloseWriting();

  EXPECT_EQ(client.Read().body, "hello");
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(ConnectionsTest, InferenceForAClientThatLeftIsCancelled) {
  {
    RawClient client = Connect();
    ASSERT_TRUE(client.Send(Get("/wait")));
    while (waiting_ == 0) std::this_thread::yield();
  }

  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
  EXPECT_EQ(waiting_, 0);
}

TEST_F(ConnectionsTest, InferenceForAClientThatBeganAnotherRequestAndLeftIsCancelled) {
  {
    RawClient client = Connect();
    ASSERT_TRUE(client.Send(Get("/wait")));
    while (waiting_ == 0) std::this_thread::yield();
    ASSERT_TRUE(client.Send("GET /hel"));
  }

  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
  EXPECT_EQ(waiting_, 0);
}

TEST_F(ConnectionsTest, ARequestThatCameWhileAnotherRanIsAnswered) {
  events_ = 2000;
  event_bytes_ = 10'000;
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/events")));
  while (written_ == 0) std::this_thread::yield();
  ASSERT_TRUE(client.Send("GET /hello HTTP/1.1\r\nHo"));
  EXPECT_EQ(client.Read().body.size(), 2000U * 10'008);

  ASSERT_TRUE(client.Send("st: localhost\r\n\r\n"));

  EXPECT_EQ(client.Read().body, "hello");
}

TEST_F(ConnectionsTest, AFaultIsToldByItsRequestsIdAlone) {
  const auto response = Ask(Get("/throw"));

  EXPECT_EQ(response.status, 500);
  const size_t at = response.head.find("req_");
  ASSERT_NE(at, std::string::npos);
  const std::string id = response.head.substr(at, response.head.find("\r\n", at) - at);
  EXPECT_THAT(response.body, HasSubstr(id));
  EXPECT_THAT(response.body, ::testing::Not(HasSubstr("secret")));
}

TEST_F(ConnectionsTest, RefusalsReachTheMetrics) {
  EXPECT_EQ(Ask(Get("/nothing")).status, 404);
  EXPECT_EQ(Ask("nonsense\r\n\r\n").status, 400);

  const auto ended = probe_.WaitForEnded(2);
  ASSERT_EQ(ended.size(), 2U);
  EXPECT_EQ(ended[0].rpc, "none");
  EXPECT_EQ(ended[0].protocol, calls::Protocol::kHttp);
  EXPECT_EQ(ended[0].code, StatusCode::kNotFound);
  EXPECT_EQ(ended[1].code, StatusCode::kInvalidArgument);
}

TEST_F(ConnectionsTest, ADrainEndsIdleConnectionsAndAnswersTheOthers) {
  RawClient idle = Connect();
  ASSERT_TRUE(idle.Send(Get("/hello")));
  ASSERT_EQ(idle.Read().status, 200);
  RawClient busy = Connect();
  ASSERT_TRUE(busy.Send("POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab"));
  while (waiting_ == 0) std::this_thread::yield();

  std::thread stopping([this] { server_->Stop(std::chrono::seconds(20)); });
  EXPECT_TRUE(idle.IsClosed());
  ASSERT_TRUE(busy.Send("cd"));
  const auto response = busy.Read();

  EXPECT_EQ(response.body, "4");
  EXPECT_THAT(response.head, HasSubstr("Connection: close"));
  stopping.join();
}

TEST_F(ConnectionsTest, AStopCutsOffWhatDoesNotEnd) {
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/wait")));
  while (waiting_ == 0) std::this_thread::yield();

  server_->Stop(std::chrono::milliseconds(0));

  EXPECT_EQ(waiting_, 0);
  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
}

/// Times so short that each is seen to end.
class HurriedTest : public HttpFixture {
  Limits TestLimits() override {
    Limits limits;
    limits.head = limits.stall = std::chrono::milliseconds(50);
    limits.idle = std::chrono::milliseconds(100);
    limits.max_connections = 8;
    limits.max_json_body = 1000;
    limits.max_buffered = 2500;
    return limits;
  }
};

TEST_F(HurriedTest, ASlowHeadEndsWithATimeout) {
  const auto response = Ask("GET /hello HTTP/1.1\r\nHost: lo");

  EXPECT_EQ(response.status, 408);
}

TEST_F(HurriedTest, ASilentConnectionIsClosedWithoutAWord) {
  RawClient client = Connect();

  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HurriedTest, ASlowBodyEndsWithATimeout) {
  RawClient client = Connect();
  ASSERT_TRUE(
      client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                  "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"));

  EXPECT_EQ(client.Read().status, 408);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HurriedTest, AnUploadThatStopsEndsWithATimeout) {
  RawClient client = Connect();
  ASSERT_TRUE(
      client.Send("POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"));

  const auto response = client.Read();

  EXPECT_EQ(response.status, 408);
  EXPECT_THAT(response.body, HasSubstr("too slowly"));
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HurriedTest, ChunksBeyondTheLimitAreRefused) {
  RawClient client = Connect();
  ASSERT_TRUE(
      client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                  "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "600\r\n" +
                  std::string(0x600, ' ') + "\r\n0\r\n\r\n"));

  EXPECT_EQ(client.Read().status, 413);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HurriedTest, WhoWaitsLongestMakesRoomForANewConnection) {
  std::vector<RawClient> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(Connect());

  EXPECT_EQ(Ask(Get("/hello")).body, "hello");
}

TEST_F(HurriedTest, WhereAllWorkANewConnectionIsClosed) {
  std::vector<RawClient> busy;
  for (int i = 0; i < 8; ++i) {
    busy.push_back(Connect());
    ASSERT_TRUE(busy.back().Send(Get("/wait")));
  }
  while (waiting_ < 8) std::this_thread::yield();

  EXPECT_TRUE(Connect().IsClosed());
}

/// Little room, and time enough.
class CrowdedTest : public HttpFixture {
  Limits TestLimits() override {
    Limits limits;
    limits.max_connections = 8;
    limits.max_buffered = 100'000;
    return limits;
  }

 protected:
  /// A head whose body is waited for.
  static std::string Half(size_t bytes) {
    return "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           "Expect: 100-continue\r\nContent-Length: " +
           std::to_string(bytes) + "\r\n\r\n";
  }
};

TEST_F(CrowdedTest, WhoDoesNotSendItsBodyMakesRoomToo) {
  std::vector<RawClient> halves;
  for (int i = 0; i < 8; ++i) {
    halves.push_back(Connect());
    ASSERT_TRUE(halves.back().Send(Half(10)));
    ASSERT_EQ(halves.back().Read().status, 100);
  }

  EXPECT_EQ(Ask(Get("/hello")).body, "hello");
}

TEST_F(CrowdedTest, WhereLargeBodiesAreHeldBackSmallOnesPass) {
  RawClient half = Connect();
  ASSERT_TRUE(half.Send(Half(300'000)));
  ASSERT_EQ(half.Read().status, 100);
  ASSERT_TRUE(half.Send(std::string(160'000, ' ')));
  // Once what was sent is there, too.
  while (Ask(Post("/echo", std::string(80'000, ' '))).status == 200) std::this_thread::yield();

  EXPECT_EQ(Ask(Post("/echo", "[1]")).body, "[1]");
}

}  // namespace
}  // namespace graft::server::http
