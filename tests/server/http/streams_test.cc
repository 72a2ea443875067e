/// Answers in pieces, and bodies that aren't held whole.

#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http_fixture.h"

namespace graft::server::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::StartsWith;

class StreamsTest : public HttpFixture {};

TEST_F(StreamsTest, EventsComeInChunksAndTheConnectionStays) {
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/events")));

  const auto response = client.Read();

  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.head, HasSubstr("Content-Type: text/event-stream"));
  const std::string event = "data: xxxxxxxxxx\n\n";
  EXPECT_EQ(response.body, event + event + event);
  ASSERT_TRUE(client.Send(Get("/hello")));
  EXPECT_EQ(client.Read().body, "hello");
}

TEST_F(StreamsTest, AnOldClientReadsUntilTheEnd) {
  RawClient client = Connect();
  ASSERT_TRUE(
      client.Send("GET /events HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"));

  const auto response = client.Read();

  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, StartsWith("data: xxxxxxxxxx\n\n"));
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(StreamsTest, AnErrorBehindTheFirstEventIsAnEvent) {
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/broken")));

  const auto response = client.Read();

  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.is_whole);
  EXPECT_THAT(response.body, StartsWith("data: one\n\ndata: {\"error\":"));
  EXPECT_THAT(response.body, HasSubstr("the worker went away"));
  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kUnavailable);
}

TEST_F(StreamsTest, BytesThatBreakOffDoNotLookWhole) {
  for (const char* version : {"1.1", "1.0"}) {
    RawClient client = Connect();
    ASSERT_TRUE(
        client.Send("GET /torn HTTP/" + std::string(version) + "\r\nHost: localhost\r\n\r\n"));

    const auto response = client.Read();

    EXPECT_EQ(response.status, 200) << version;
    EXPECT_TRUE(!response.is_whole || client.was_reset()) << version;
  }
}

TEST_F(StreamsTest, AHeadOfAStreamIsItsHeadAlone) {
  events_ = 1'000'000;
  RawClient client = Connect();
  ASSERT_TRUE(
      client.Send("HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n" + Get("/models/next")));

  EXPECT_EQ(client.Read(true).status, 200);
  EXPECT_EQ(client.Read().body, "next");
}

TEST_F(StreamsTest, AClientThatReadsNothingHoldsTheHandlerBack) {
  events_ = 1'000'000;
  event_bytes_ = 1000;
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/events")));

  // Until nothing more is taken: what the two ends' buffers hold.
  int before = -1;
  for (int same = 0; same < 20;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    same = written_ == before ? same + 1 : 0;
    before = written_;
  }
  EXPECT_THAT(written_, Lt(100'000));
  EXPECT_EQ(waiting_, 1);
  client.Reset();

  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
  EXPECT_EQ(waiting_, 0);
}

TEST_F(StreamsTest, AClientThatLeavesInTheMiddleCancelsItsCall) {
  events_ = 1'000'000;
  for (int i = 0; i < 8; ++i) {
    RawClient client = Connect();
    ASSERT_TRUE(client.Send(Get("/events")));
    ASSERT_TRUE(client.ReadSome().has_value());
    if (i % 2 == 0) client.Reset();
  }

  for (const auto& call : probe_.WaitForEnded(8)) EXPECT_EQ(call.code, StatusCode::kCancelled);
  EXPECT_EQ(waiting_, 0);
}

TEST_F(StreamsTest, ABodyOfAnySizeIsReadInPieces) {
  const std::string body(20 << 20, 'x');

  EXPECT_EQ(Ask(Post("/count", body, "")).body, std::to_string(body.size()));
}

TEST_F(StreamsTest, AnEmptyStreamHasNoBytes) { EXPECT_EQ(Ask(Post("/count", "", "")).body, "0"); }

class StalledTest : public HttpFixture {
  Limits TestLimits() override {
    Limits limits;
    limits.stall = std::chrono::milliseconds(200);
    return limits;
  }
};

TEST_F(StalledTest, AClientThatTakesNothingIsCutOff) {
  events_ = 1'000'000;
  event_bytes_ = 1000;
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/events")));

  EXPECT_EQ(probe_.WaitForEnded(1).at(0).code, StatusCode::kCancelled);
  EXPECT_EQ(waiting_, 0);
}

}  // namespace
}  // namespace graft::server::http
