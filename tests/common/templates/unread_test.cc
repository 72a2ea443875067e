#include "common/templates/unread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::templates {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ChatTemplate Parsed(const std::string& source) {
  auto parsed = ChatTemplate::Parse(source);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

constexpr const char* kPlain = "{% for m in messages %}{{ m.content }}{% endfor %}";

TEST(UnreadTest, WhatTheSourceNamesNowhereIsNotRead) {
  EXPECT_THAT(UnreadParts(Parsed(kPlain)),
              ElementsAre("tools", "messages.tool_calls", "messages.reasoning_content"));
  EXPECT_THAT(UnreadParts(Parsed("{% for m in messages %}{{ m.tool_calls }}{{ m['thinking'] }}"
                                 "{% endfor %}{% if tools %}1{% endif %}")),
              IsEmpty());
}

TEST(UnreadTest, WhoeverWritesMessagesWholeReadsAllOfThem) {
  EXPECT_THAT(UnreadParts(Parsed("{{ messages | tojson }}")), ElementsAre("tools"));
}

TEST(UnreadTest, OnlyWhatAConversationHasIsTold) {
  const Parts all = UnreadParts(Parsed(kPlain));
  Conversation conversation;
  conversation.messages = OrderedJson::parse(R"([{"role":"user","content":"a"},
      {"role":"assistant","content":"b","tool_calls":null}])");
  EXPECT_THAT(PartsOf(conversation, all), IsEmpty());

  conversation.messages[1]["tool_calls"] = OrderedJson::parse(R"([{"type":"function"}])");
  EXPECT_THAT(PartsOf(conversation, all), ElementsAre("messages.tool_calls"));
  EXPECT_THAT(PartsOf(conversation, {"tools"}), IsEmpty());

  conversation.messages[1]["reasoning"] = "hm";
  conversation.tools = OrderedJson::parse(R"([{"name":"add"}])");
  EXPECT_THAT(PartsOf(conversation, all),
              ElementsAre("tools", "messages.tool_calls", "messages.reasoning_content"));
}

TEST(UnreadTest, VariablesAreToldByName) {
  const auto variables = OrderedJson::parse(R"({"enable_thinking":false,"enable_thinkin":false})");
  EXPECT_THAT(UnreadVariables(Parsed("{% if enable_thinkin %}1{% endif %}"), variables),
              ElementsAre("variables.enable_thinking"));
  EXPECT_THAT(UnreadVariables(Parsed("{{ enable_thinking }}"), variables), IsEmpty());
}

}  // namespace
}  // namespace graft::templates
