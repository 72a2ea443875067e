#include "common/logging/json_formatter.h"

#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "common/base/utf8.h"
#include "common/logging/log.h"

namespace graft::logging {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// The default logger writes JSON into a text while a test runs.
class JsonFormatterTest : public testing::Test {
 protected:
  void SetUp() override {
    StartLogging("server", "json", "trace");
    UseText();
  }
  void TearDown() override {
    spdlog::set_default_logger(before_);
    spdlog::set_level(spdlog::level::info);
  }
  void UseText() {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("server", std::move(sink));
    logger->set_formatter(std::make_unique<JsonFormatter>(4711));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
  }
  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    std::istringstream in(text_.str());
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  Json Only() {
    const std::vector<std::string> lines = Lines();
    EXPECT_THAT(lines, SizeIs(1));
    auto record = ParseJson(lines.at(0), "a line");
    EXPECT_TRUE(record.ok()) << record.status();
    return *record;
  }

  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream text_;
};

TEST_F(JsonFormatterTest, ALineIsOneObjectWithItsKeysInOrder) {
  JsonFormatter formatter(4711);
  const auto time = spdlog::log_clock::time_point(std::chrono::milliseconds(1'753'000'000'042));
  spdlog::memory_buf_t line;

  formatter.format({time, {}, "server", spdlog::level::warn, "a \"text\""}, line);

  EXPECT_EQ(std::string(line.data(), line.size()),
            "{\"ts\":\"2025-07-20T08:26:40.042Z\",\"level\":\"warn\",\"logger\":\"server\","
            "\"pid\":4711,\"message\":\"a \\\"text\\\"\"}\n");
}

TEST_F(JsonFormatterTest, AMomentBeforeTheFirstSecondIsNoNegativeFraction) {
  JsonFormatter formatter(1);
  spdlog::memory_buf_t line;

  formatter.format({spdlog::log_clock::time_point(std::chrono::milliseconds(-1)),
                    {},
                    "server",
                    spdlog::level::info,
                    "early"},
                   line);

  EXPECT_THAT(std::string(line.data(), line.size()), HasSubstr("\"1969-12-31T23:59:59.999Z\""));
}

TEST_F(JsonFormatterTest, LevelsAreNamedAsTheFlagNamesThem) {
  spdlog::trace("x");
  spdlog::debug("x");
  spdlog::info("x");
  spdlog::warn("x");
  spdlog::error("x");
  spdlog::critical("x");

  std::vector<std::string> levels;
  for (const std::string& line : Lines()) levels.push_back((*ParseJson(line, "a line"))["level"]);
  EXPECT_THAT(levels, ElementsAre("trace", "debug", "info", "warn", "error", "critical"));
}

TEST_F(JsonFormatterTest, HostileMessagesStayOneValidLine) {
  using std::string_literals::operator""s;
  const std::vector<std::string> messages = {"",
                                             "\"",
                                             "\\",
                                             "\\\"},{",
                                             "a\nb\r\nc",
                                             "nul \0 in it"s,
                                             "\x1b[31mred\x7f\b\f\t",
                                             "{\"ts\":\"forged\"}",
                                             "%s %n {} {0}",
                                             "\xe2\x80\xa8\xe2\x80\xa9",
                                             "gr\xc3\xbc\xc3\x9f",
                                             "\xf0\x9f\xa6\x80",
                                             std::string(100'000, '"')};
  for (const std::string& message : messages) {
    text_.str("");
    spdlog::info("{}", message);

    EXPECT_EQ(Only()["message"], message);
    for (const char c : text_.str()) EXPECT_TRUE((c >= 0x20 && c < 0x7f) || c == '\n');
  }
}

TEST_F(JsonFormatterTest, BytesThatAreNotUtf8AreReplaced) {
  for (const std::string& message :
       {std::string("cut \xe2\x82"), std::string("\xff\xfe here"), std::string("\xed\xa0\x80"),
        std::string("over\xc0\xaflong"), std::string("\xf5\x80\x80\x80")}) {
    text_.str("");
    spdlog::info("{}", message);

    const std::string told = Only()["message"];
    EXPECT_THAT(told, HasSubstr("\xef\xbf\xbd"));
    EXPECT_EQ(FirstInvalidUtf8(told), std::string::npos);
  }
}

TEST_F(JsonFormatterTest, FieldsSayWhatALineIsAbout) {
  Info({.job = "j1", .worker = "w\"1"}, "job {} goes", "j1");
  spdlog::info("of nothing");

  const auto lines = Lines();
  ASSERT_THAT(lines, SizeIs(2));
  const Json first = *ParseJson(lines[0], "a line"), second = *ParseJson(lines[1], "a line");
  EXPECT_EQ(first["message"], "job j1 goes");
  EXPECT_EQ(first["job"], "j1");
  EXPECT_EQ(first["worker"], "w\"1");
  EXPECT_FALSE(first.contains("request_id"));
  EXPECT_FALSE(second.contains("job"));
}

TEST_F(JsonFormatterTest, AWorkersLineStaysWhatItIs) {
  const std::string line =
      R"({"ts":"2025-07-20T08:26:40.042Z","level":"error","logger":"worker","pid":7,"message":"m"})";

  Relay("cpu-1", line);

  EXPECT_THAT(Lines(), ElementsAre(line.substr(0, line.size() - 1) + R"(,"worker":"cpu-1"})"));
}

TEST_F(JsonFormatterTest, WhatIsNoLineOfALogIsAMessage) {
  for (const std::string& line :
       {std::string("terminate called"), std::string("{\"ts\":"), std::string("{\"ts\":1}"),
        std::string(R"({"ts":"t","level":"loud","logger":"worker","message":"m"})"),
        std::string(R"({"ts":"t","level":"info","logger":"worker"})"), std::string("\xff{")}) {
    text_.str("");
    Relay("cpu-1", line);

    const Json record = Only();
    EXPECT_EQ(record["worker"], "cpu-1");
    EXPECT_EQ(record["logger"], "server");
    EXPECT_THAT(record["message"].get<std::string>(), HasSubstr("[cpu-1] "));
  }
}

TEST_F(JsonFormatterTest, AFailureIsALineOfTheLog) {
  EXPECT_EQ(Fail("graft-server", UnavailableError("the port\nis taken"), 1), 1);

  EXPECT_EQ(Only()["message"], "the port\nis taken");
  EXPECT_EQ(Only()["level"], "critical");
}

TEST_F(JsonFormatterTest, AFormatterCanBeCopied) {
  const auto copy = JsonFormatter(3).clone();
  spdlog::memory_buf_t line;

  copy->format({"worker", spdlog::level::info, "m"}, line);

  EXPECT_THAT(std::string(line.data(), line.size()), HasSubstr("\"pid\":3,"));
}

}  // namespace
}  // namespace graft::logging
