/// Requests as no well-behaved client writes them: malformed, ambiguous, at odds with themselves.
/// Each gets the right status, and its connection is closed or clean: nothing of it is ever taken
/// for another request.

#include <ostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http_fixture.h"

namespace graft::server::http {
namespace {

enum class Then { kCloses, kStays, kIsCutOff };

struct Case {
  const char* name;
  std::string bytes;
  int status;
  Then then = Then::kCloses;
  const char* says = "";
};
void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

const std::string kHost = "Host: localhost\r\n";
const std::string kSmuggled = "GET /models/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
const std::string kJson = "Content-Type: application/json\r\n";

std::string Line(const std::string& line, const std::string& fields = kHost) {
  return line + "\r\n" + fields + "\r\n";
}
std::string Hello(const std::string& fields) { return Line("GET /hello HTTP/1.1", fields); }
std::string Echo(const std::string& fields, const std::string& rest) {
  return Line("POST /echo HTTP/1.1", kHost + kJson + fields) + rest;
}
std::string Chunked(const std::string& rest) {
  return Echo("Transfer-Encoding: chunked\r\n", rest);
}
std::string Streamed(const std::string& rest) {
  return Line("POST /count HTTP/1.1", kHost + "Transfer-Encoding: chunked\r\n") + rest;
}
const Then kStays = Then::kStays;

std::vector<Case> Framing() {
  return {
      {"TwoLengths", Echo("Content-Length: 2\r\nContent-Length: 40\r\n", "{}" + kSmuggled), 400},
      {"TwoEqualLengths", Echo("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), 400},
      {"LengthList", Echo("Content-Length: 2, 2\r\n", "{}"), 400},
      {"LengthWithSign", Echo("Content-Length: +2\r\n", "{}"), 400},
      {"NegativeLength", Echo("Content-Length: -2\r\n", "{}"), 400},
      {"HexLength", Echo("Content-Length: 0x2\r\n", "{}"), 400},
      {"LengthWithSpace", Echo("Content-Length: 2 2\r\n", "{}"), 400},
      {"EmptyLength", Echo("Content-Length:\r\n", "{}"), 400},
      {"HugeLength", Echo("Content-Length: 99999999999999999999999\r\n", "{}"), 400},
      {"LengthBeyondTheLimit", Echo("Content-Length: 99999999999\r\n", "{}"), 413},
      {"LengthThenChunked",
       Echo("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + kSmuggled), 400},
      {"ChunkedThenLength",
       Echo("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n" + kSmuggled), 400},
      {"Gzip", Echo("Transfer-Encoding: gzip\r\n", kSmuggled), 400},
      {"GzipChunked", Echo("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedGzip", Echo("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n" + kSmuggled), 400},
      {"ChunkedTwice", Echo("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedInTwoFields",
       Echo("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"Identity", Echo("Transfer-Encoding: identity\r\n", ""), 400},
      {"IdentityThenChunked",
       Echo("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedWithVerticalTab",
       Echo("Transfer-Encoding: \x0b"
            "chunked\r\n",
            "0\r\n\r\n"),
       400},
      {"ChunkedInQuotes", Echo("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400},
      {"XChunked", Echo("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + kSmuggled), 400},
      {"SpaceBeforeColon", Echo("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedInHttp10",
       Line("POST /echo HTTP/1.0", kHost + kJson + "Transfer-Encoding: chunked\r\n") +
           "2\r\n{}\r\n0\r\n\r\n",
       400},
      {"FoldedEncoding", Echo("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n" + kSmuggled), 400},
      {"ChunkedInOtherCase", Echo("transfer-ENCODING: ChUnKeD\r\n", "2\r\n{}\r\n0\r\n\r\n"), 200,
       kStays},
      {"GetWithABody",
       Hello(kHost + "Content-Length: " + std::to_string(kSmuggled.size()) + "\r\n") + kSmuggled,
       400},
      {"GetWithChunks", Hello(kHost + "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
      {"GetWithLengthZero", Hello(kHost + "Content-Length: 0\r\n"), 200, kStays},
      {"PostWithoutLength", Echo("", ""), 200, kStays},
      {"BodyShorterThanSaid", Echo("Content-Length: 10\r\n", "{}"), 400, Then::kIsCutOff},
  };
}

std::vector<Case> Chunks() {
  return {
      {"Chunk", Chunked("2\r\n{}\r\n0\r\n\r\n"), 200, kStays, "{}"},
      {"ChunkWithExtension", Chunked("2;a=b\r\n{}\r\n0\r\n\r\n"), 200, kStays, "{}"},
      {"ChunkWithTrailer", Chunked("2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n"), 200, kStays, "{}"},
      {"TrailerOfFraming", Chunked("2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"), 400},
      {"ChunkSizeNotHex", Chunked("zz\r\n{}\r\n0\r\n\r\n"), 400},
      {"ChunkSizeNegative", Chunked("-2\r\n{}\r\n0\r\n\r\n"), 400},
      {"ChunkSizeWithPrefix", Chunked("0x2\r\n{}\r\n0\r\n\r\n"), 400},
      {"ChunkSizeEmpty", Chunked("\r\n{}\r\n0\r\n\r\n"), 400},
      {"ChunkSizeOverflows", Chunked("fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), 400},
      {"ChunkSizeBeyondTheLimit", Chunked("7fffffffffffffff\r\n{}\r\n"), 400, Then::kIsCutOff},
      {"ChunkLongerThanSaid", Chunked("2\r\n{}{}\r\n0\r\n\r\n"), 400},
      {"ChunkWithoutItsEnd", Chunked("2\r\n{}0\r\n\r\n"), 400},
      {"ChunkEndedByLf", Chunked("2\n{}\n0\n\n"), 400, Then::kIsCutOff},
      {"ChunkCutOff", Chunked("5\r\n{}"), 400, Then::kIsCutOff},
      {"LastChunkMissing", Chunked("2\r\n{}\r\n"), 400, Then::kIsCutOff},
      {"StreamedChunk", Streamed("2\r\n{}\r\n0\r\n\r\n"), 200, kStays, "2"},
      {"StreamedSizeNotHex", Streamed("2\r\n{}\r\nzz\r\n"), 400},
      {"StreamedChunkWithoutItsEnd", Streamed("2\r\n{}0\r\n\r\n"), 400},
  };
}

std::vector<Case> Lines() {
  return {
      {"Plain", Hello(kHost), 200, kStays, "hello"},
      {"EmptyLineInFront", "\r\n" + Hello(kHost), 200, kStays, "hello"},
      {"TwoEmptyLinesInFront", "\r\n\r\n" + Hello(kHost), 400},
      {"LineFeedsOnly", "GET /hello HTTP/1.1\nHost: localhost\n\n", 400},
      {"OneLineFeed", "GET /hello HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400},
      {"LoneCarriageReturn", "GET /hello HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n", 400},
      {"CarriageReturnInValue", Hello(kHost + "X: a\rb\r\n"), 400},
      {"NulInValue", Hello(kHost + std::string("X: a\0b\r\n", 8)), 400},
      {"NulInTarget", Line(std::string("GET /hel\0lo HTTP/1.1", 20)), 400},
      {"DeleteCharacter", Hello(kHost + "X: a\x7f\r\n"), 400},
      {"Folded", Hello(kHost + "X: a\r\n b\r\n"), 400},
      {"FoldedByTab", Hello(kHost + "X: a\r\n\tb\r\n"), 400},
      {"FoldedFirstField", "GET /hello HTTP/1.1\r\n Host: localhost\r\n\r\n", 400},
      {"FieldWithoutColon", Hello(kHost + "nonsense\r\n"), 400},
      {"FieldWithoutName", Hello(kHost + ": x\r\n"), 400},
      {"FieldNameWithSpace", Hello(kHost + "X Y: x\r\n"), 400},
      {"Http09", "GET /hello\r\n\r\n", 400},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"Http20", Line("GET /hello HTTP/2.0"), 505},
      {"Http12", Line("GET /hello HTTP/1.2"), 505},
      {"HttpInLowerCase", Line("GET /hello http/1.1"), 400},
      {"VersionWithoutNumber", Line("GET /hello HTTP/"), 400},
      {"TwoSpaces", Line("GET  /hello HTTP/1.1"), 400},
      {"SpaceInTarget", Line("GET /hel lo HTTP/1.1"), 400},
      {"SpaceInFront", Line(" GET /hello HTTP/1.1"), 400},
      {"NoMethod", Line("/hello HTTP/1.1"), 400},
      {"TlsHandshake", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
      {"Garbage", "\xff\xfe\xfd\xfc\r\n\r\n", 400},
      {"LongTarget", Line("GET /" + std::string(9000, 'a') + " HTTP/1.1"), 414},
      {"HugeField", Hello(kHost + "X: " + std::string(20000, 'a') + "\r\n"), 431},
      {"HugeFieldWithoutEnd", "GET /hello HTTP/1.1\r\nX: " + std::string(20000, 'a'), 431},
      {"ManyFields",
       Hello(kHost +
             [] {
               std::string fields;
               for (int i = 0; i < 150; ++i) fields += fmt::format("X-{}: y\r\n", i);
               return fields;
             }()),
       431},
  };
}

std::vector<Case> Targets() {
  return {
      {"AbsoluteTarget", Line("GET http://localhost/hello HTTP/1.1"), 400},
      {"AbsoluteTargetOfAnother", Line("GET http://evil.com/hello HTTP/1.1"), 400},
      {"Star", Line("OPTIONS * HTTP/1.1"), 400},
      {"Connect", Line("CONNECT localhost:80 HTTP/1.1"), 400},
      {"EmptyTarget", Line("GET  HTTP/1.1"), 400},
      {"Dots", Line("GET /models/../hello HTTP/1.1"), 400},
      {"EncodedDots", Line("GET /models/%2e%2e HTTP/1.1"), 400},
      {"EncodedSlashStaysInItsSegment", Line("GET /models/a%2Fb HTTP/1.1"), 200, kStays, "a/b"},
      {"EncodedAt", Line("GET /models/support%403 HTTP/1.1"), 200, kStays, "support@3"},
      {"EncodedNul", Line("GET /models/a%00 HTTP/1.1"), 400},
      {"BrokenEncoding", Line("GET /models/a%2 HTTP/1.1"), 400},
      {"BrokenEncodingAtTheEnd", Line("GET /models/a% HTTP/1.1"), 400},
      {"NotUtf8", Line("GET /models/%ff HTTP/1.1"), 400},
      {"DoubleSlash", Line("GET //hello HTTP/1.1"), 400},
      {"SlashAtTheEnd", Line("GET /hello/ HTTP/1.1"), 400},
      {"Fragment", Line("GET /hello#x HTTP/1.1"), 400},
      {"QueryTwice", Line("GET /hello?a=1&a=2 HTTP/1.1"), 400},
      {"Query", Line("GET /hello?a=1&b=+%20 HTTP/1.1"), 200, kStays},
      {"UnknownPath", Line("GET /nothing HTTP/1.1"), 404, kStays},
      {"WrongMethod", Line("PUT /hello HTTP/1.1"), 405, kStays},
      {"UnknownMethod", Line("FROB /hello HTTP/1.1"), 405, kStays},
      {"MethodInLowerCase", Line("get /hello HTTP/1.1"), 405, kStays},
      {"Trace", Line("TRACE /hello HTTP/1.1"), 405, kStays},
  };
}

std::vector<Case> Hosts() {
  return {
      {"NoHost", Hello(""), 400},
      {"NoHostInHttp10", Line("GET /hello HTTP/1.0", ""), 400},
      {"TwoHosts", Hello(kHost + kHost), 400},
      {"EmptyHost", Hello("Host:\r\n"), 400},
      {"HostWithUser", Hello("Host: user@localhost\r\n"), 400},
      {"HostWithPath", Hello("Host: localhost/x\r\n"), 400},
      {"HostList", Hello("Host: localhost, evil.com\r\n"), 400},
      {"HostWithBadPort", Hello("Host: localhost:http\r\n"), 400},
      {"HostWithOpenBracket", Hello("Host: [::1\r\n"), 400},
      {"ForeignHost", Hello("Host: evil.com\r\n"), 403, kStays},
      {"ForeignAddress", Hello("Host: 192.168.1.1\r\n"), 403, kStays},
      {"NameThatBeginsLikeLoopback", Hello("Host: 127.0.0.1.evil.com\r\n"), 403, kStays},
      {"NameThatEndsLikeLocalhost", Hello("Host: notlocalhost\r\n"), 403, kStays},
      {"LoopbackWithPort", Hello("Host: 127.0.0.1:7080\r\n"), 200, kStays},
      {"LoopbackOfVersion6", Hello("Host: [::1]:7080\r\n"), 200, kStays},
      {"NamedHost", Hello("Host: Graft.Example.com:443\r\n"), 200, kStays},
      {"OwnOrigin", Hello("Host: localhost:7080\r\nOrigin: http://localhost:7080\r\n"), 200,
       kStays},
      {"OriginOnAnotherPort", Hello("Host: localhost:7080\r\nOrigin: http://localhost:3000\r\n"),
       403, kStays},
      {"ForeignOrigin", Hello(kHost + "Origin: https://evil.com\r\n"), 403, kStays},
      {"NullOrigin", Hello(kHost + "Origin: null\r\n"), 403, kStays},
      {"NamedOrigin", Hello(kHost + "Origin: https://graft.example.com\r\n"), 200, kStays},
      {"Expectation", Echo("Content-Length: 2\r\nExpect: 200-ok\r\n", "{}"), 417},
      {"FormInsteadOfJson",
       Line("POST /echo HTTP/1.1",
            kHost + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n") +
           "{}",
       415},
      {"NoContentType", Line("POST /echo HTTP/1.1", kHost + "Content-Length: 2\r\n") + "{}", 415},
      {"CompressedBody", Echo("Content-Encoding: gzip\r\nContent-Length: 2\r\n", "{}"), 415},
      {"WebSocket",
       Hello(kHost + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
       400},
      {"Http10Closes", Line("GET /hello HTTP/1.0"), 200},
      {"Http10KeepsAlive", Line("GET /hello HTTP/1.0", kHost + "Connection: keep-alive\r\n"), 200,
       kStays},
      {"Http10ContinuesUnasked",
       Line("POST /echo HTTP/1.0",
            kHost + kJson + "Content-Length: 2\r\nExpect: 100-continue\r\n") +
           "{}",
       200, Then::kCloses, "{}"},
      {"Http11ClosesInASecondField",
       Hello(kHost + "Connection: keep-alive\r\nConnection: close\r\n"), 200},
      {"Http11Closes", Hello(kHost + "Connection: foo, Close\r\n"), 200},
  };
}

class RawRequestsTest : public HttpFixture, public ::testing::WithParamInterface<Case> {};

TEST_P(RawRequestsTest, GetsItsStatusAndACleanOrClosedConnection) {
  const Case& wanted = GetParam();
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(wanted.bytes));
  if (wanted.then == Then::kIsCutOff) client.CloseWriting();

  const RawClient::Response response = client.Read();

  EXPECT_EQ(response.status, wanted.status) << response.head << response.body;
  if (wanted.says[0] != '\0') {
    EXPECT_EQ(response.body, wanted.says);
  }
  if (wanted.then == kStays) {
    ASSERT_TRUE(client.Send(Get("/models/next")));
    EXPECT_EQ(client.Read().body, "next");
  } else {
    EXPECT_TRUE(client.IsClosed());
  }
  for (const auto& call : probe_.WaitForEnded(1)) EXPECT_NE(call.code, StatusCode::kInternal);
}

std::vector<Case> All() {
  std::vector<Case> all;
  for (const auto& part : {Framing(), Chunks(), Lines(), Targets(), Hosts()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cases, RawRequestsTest, ::testing::ValuesIn(All()),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace graft::server::http
