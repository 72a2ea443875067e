#include "server/http/authority.h"

#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace graft::server::http {
namespace {

TEST(ParseAuthorityTest, AHostIsReadInLowerCaseWithItsPort) {
  struct Row {
    const char* text;
    const char* host;
    const char* port;
  };
  for (const Row& row : {Row{"localhost", "localhost", ""}, Row{"LocalHost:80", "localhost", "80"},
                         Row{"127.0.0.1:65535", "127.0.0.1", "65535"}, Row{"[::1]", "::1", ""},
                         Row{"[2001:DB8::1]:443", "2001:db8::1", "443"},
                         Row{"[::ffff:127.0.0.1]", "::ffff:127.0.0.1", ""},
                         Row{"my_host-1.example.com.", "my_host-1.example.com.", ""}}) {
    const std::optional<Authority> authority = ParseAuthority(row.text);

    ASSERT_TRUE(authority.has_value()) << row.text;
    EXPECT_EQ(authority->host, row.host);
    EXPECT_EQ(authority->port, row.port);
  }
}

TEST(ParseAuthorityTest, WhatIsNoHostIsNone) {
  const std::string nul("local\0host", 10);
  for (const std::string& text : std::vector<std::string>{"",
                                                          ":80",
                                                          "localhost:",
                                                          "localhost:http",
                                                          "localhost:80:80",
                                                          "localhost:123456",
                                                          "localhost:-1",
                                                          "localhost: 80",
                                                          "local host",
                                                          " localhost",
                                                          "localhost ",
                                                          "[]",
                                                          "[::1",
                                                          "::1",
                                                          "[::1]80",
                                                          "[::1]x:80",
                                                          "[localhost]",
                                                          "[::1%25eth0]",
                                                          "a/b",
                                                          "a?b",
                                                          "a#b",
                                                          "user@localhost",
                                                          "a,b",
                                                          "a;b",
                                                          "a\\b",
                                                          "a%2eb",
                                                          "\xe2\x80\xa8",
                                                          nul})
    EXPECT_FALSE(ParseAuthority(text).has_value()) << text;
}

struct Row {
  const char* name;
  const char* host;
  std::optional<std::string_view> origin;
  int status;  ///< 0: it may.
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class AuthoritiesTest : public ::testing::TestWithParam<Row> {
 protected:
  const Authorities authorities_{{"Graft.Example.com", "api.example.com:8443"}};
};

TEST_P(AuthoritiesTest, LetsInWhoCallsItByANameOfItsOwn) {
  const auto refusal = authorities_.Check(GetParam().host, GetParam().origin, "10.0.0.7");

  EXPECT_EQ(refusal ? refusal->status : 0, GetParam().status);
}

const std::optional<std::string_view> kNone;

INSTANTIATE_TEST_SUITE_P(
    Rows, AuthoritiesTest,
    ::testing::Values(
        Row{"Localhost", "LOCALHOST:1", kNone, 0}, Row{"Loopback", "127.8.9.10", kNone, 0},
        Row{"LoopbackOfVersion6", "[::1]:1", kNone, 0}, Row{"OwnAddress", "10.0.0.7:1", kNone, 0},
        Row{"AnotherAddress", "10.0.0.8", kNone, 403}, Row{"Named", "graft.example.COM", kNone, 0},
        Row{"NamedOnAnyPort", "graft.example.com:1", kNone, 0},
        Row{"NamedWithItsPort", "api.example.com:8443", kNone, 0},
        Row{"NamedOnAnotherPort", "api.example.com:8444", kNone, 403},
        Row{"NamedWithoutItsPort", "api.example.com", kNone, 403},
        Row{"BelowAName", "x.graft.example.com", kNone, 403},
        Row{"NameGoesOn", "graft.example.com.evil.com", kNone, 403},
        Row{"LoopbackGoesOn", "127.0.0.1.evil.com", kNone, 403},
        Row{"LoopbackAsWord", "127.evil.com", kNone, 403},
        Row{"LocalhostGoesOn", "localhost.evil.com", kNone, 403},
        Row{"AnyAddress", "0.0.0.0", kNone, 403}, Row{"NoAuthority", "local host", kNone, 400},
        Row{"Empty", "", kNone, 400}, Row{"SameOrigin", "localhost:1", "http://localhost:1", 0},
        Row{"SameOriginInOtherCase", "localhost:1", "http://LOCALHOST:1", 0},
        Row{"SameOriginByTls", "localhost:1", "https://localhost:1", 0},
        Row{"OriginOnAnotherPort", "localhost:1", "http://localhost:2", 403},
        Row{"OriginByAnotherName", "localhost:1", "http://127.0.0.1:1", 403},
        Row{"NamedOrigin", "localhost", "https://graft.example.com", 0},
        Row{"NamedOriginOnAPort", "localhost", "http://graft.example.com:3000", 0},
        Row{"ForeignOrigin", "localhost", "https://evil.com", 403},
        Row{"ForeignOriginAtAName", "graft.example.com", "https://evil.com", 403},
        Row{"OriginGoesOn", "localhost:1", "http://localhost:1.evil.com", 403},
        Row{"OriginWithUser", "localhost", "http://localhost@evil.com", 403},
        Row{"OriginWithPath", "localhost", "https://graft.example.com/x", 403},
        Row{"OriginOfAnotherScheme", "localhost", "file://localhost", 403},
        Row{"OriginWithoutScheme", "localhost", "localhost", 403},
        Row{"NullOrigin", "localhost", "null", 403}, Row{"EmptyOrigin", "localhost", "", 403}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(RefusalOfAHostTest, NamesTheFlagThatWouldLetItIn) {
  const auto refusal = Authorities({}).Check("graft.lan:80", std::nullopt, "127.0.0.1");

  ASSERT_TRUE(refusal.has_value());
  EXPECT_NE(refusal->message.find("--http-hosts graft.lan"), std::string::npos) << refusal->message;
}

}  // namespace
}  // namespace graft::server::http
