#include "common/datasets/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace graft::datasets {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What CheckMessages writes; the fault's reason and message if it refuses.
std::string Written(const std::string& json) {
  std::string written;
  const auto fault = CheckMessages(json, written);
  return fault ? fault->reason + ": " + fault->message : written;
}

std::string WithTools(const std::string& json) {
  std::string written;
  const auto fault = CheckTools(json, written);
  return fault ? fault->reason + ": " + fault->message : written;
}

TEST(ChatTest, AConversationIsWrittenCompactlyWithItsKeysInTheirOrder) {
  EXPECT_EQ(Written(R"( [ {"role": "system", "content": "Be brief."},
                          {"role": "user", "name": "Zo\u00eb", "content": "Hi\n"},
                          {"weight": 0, "reasoning_content": "hm", "role": "assistant",
                           "content": "Hello"} ] )"),
            R"([{"role":"system","content":"Be brief."},)"
            R"({"role":"user","name":"Zoë","content":"Hi\n"},)"
            R"({"weight":0,"reasoning_content":"hm","role":"assistant","content":"Hello"}])");
}

TEST(ChatTest, PartsOfTextAreOneText) {
  EXPECT_EQ(Written(R"([{"role":"user","content":[{"type":"text","text":"a"},{"text":"b"}]},
                        {"role":"assistant","content":"c"}])"),
            R"([{"role":"user","content":"a\nb"},{"role":"assistant","content":"c"}])");
}

TEST(ChatTest, ToolsAreCalledAndAnswer) {
  const std::string json =
      R"([{"role":"user","content":"2+2?"},)"
      R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",)"
      R"("function":{"name":"add","arguments":"{\"z\":2,\"a\":2}"}}]},)"
      R"({"role":"tool","tool_call_id":"c1","content":"4"},)"
      R"({"role":"assistant","tool_calls":[{"function":{"name":"say","arguments":{"b":1,"a":2}}}]}])";
  const std::string as_text = R"("{\"z\":2,\"a\":2}")";
  std::string read = json;
  read.replace(read.find(as_text), as_text.size(), R"({"z":2,"a":2})");
  EXPECT_EQ(Written(json), read) << "arguments are an object, in their order";
}

TEST(ChatTest, WhatIsWrongIsToldWithItsPlace) {
  const std::string user = R"({"role":"user","content":"a"})";
  const std::string end = R"(,{"role":"assistant","content":"b"}])";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[{", "BAD_JSON: messages"},
      {"5", "WRONG_TYPE: messages must be a list of messages, and is a number"},
      {"[]", "MESSAGES_EMPTY"},
      {"[7" + end, "WRONG_TYPE: messages[0] must be an object"},
      {R"([{"role":"human","content":"a"})" + end, R"(BAD_ROLE: messages[0].role is "human")"},
      {R"([{"content":"a"})" + end, "BAD_ROLE: messages[0].role is missing"},
      {R"([{"role":["user"],"content":"a"})" + end, "BAD_ROLE: messages[0].role is a list"},
      {R"([{"role":"user"})" + end, "CONTENT_MISSING: messages[0].content is missing"},
      {R"([{"role":"user","content":3})" + end,
       "WRONG_TYPE: messages[0].content must be a text, and is a number"},
      {R"([{"role":"user","content":[{"type":"image_url"}]})" + end,
       R"(WRONG_TYPE: messages[0].content[0] is of type "image_url")"},
      {R"([{"role":"user","content":[{"type":"text"}]})" + end,
       "WRONG_TYPE: messages[0].content[0].text must be a text, and is null"},
      {R"([{"role":"user","content":["a"]})" + end, "WRONG_TYPE: messages[0].content[0] must be"},
      {R"([{"role":"user","content":"a","weight":0.5})" + end, "BAD_WEIGHT: messages[0].weight"},
      {R"([{"role":"user","content":"a","name":1})" + end, "WRONG_TYPE: messages[0].name"},
      {R"([{"role":"user","content":"a","tool_calls":[{"function":{"name":"f","arguments":{}}}]})" +
           end,
       "BAD_TOOL_CALLS: messages[0].tool_calls: only the assistant"},
      {"[" + user + R"(,{"role":"assistant","tool_calls":{}}])",
       "BAD_TOOL_CALLS: messages[1].tool_calls must be a list"},
      {"[" + user + R"(,{"role":"assistant","tool_calls":[]}])", "CONTENT_MISSING: messages[1]"},
      {"[" + user + R"(,{"role":"assistant","tool_calls":[{"name":"f"}]}])",
       "BAD_TOOL_CALLS: messages[1].tool_calls[0] must be an object with a function"},
      {"[" + user + R"(,{"role":"assistant","tool_calls":[{"function":{"name":""}}]}])",
       "BAD_TOOL_CALLS: messages[1].tool_calls[0].function.name"},
      {"[" + user + R"(,{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}])",
       "BAD_TOOL_CALLS: messages[1].tool_calls[0].function.arguments"},
      {"[" + user + "]", "NO_ASSISTANT"},
      {R"([{"role":"assistant","content":"b"},)" + user + "]", "LAST_NOT_ASSISTANT"}};
  for (const auto& [json, wanted] : cases) EXPECT_THAT(Written(json), StartsWith(wanted)) << json;
}

TEST(ChatTest, AMessageOfARequestIsCheckedAlikeButMayBeAFunctions) {
  const auto place = [](ChatUse use, const std::string& json) {
    OrderedJson message = *ParseOrderedJson(json, "message");
    const auto fault = CheckMessage("chat.messages[3]", use, message);
    return fault ? fault->place : "none";
  };
  for (const ChatUse use : {ChatUse::kTraining, ChatUse::kRequest}) {
    EXPECT_EQ(place(use, R"({"role":"user","content":"a"})"), "none");
    EXPECT_EQ(place(use, R"({"role":"robot","content":"a"})"), "chat.messages[3].role");
    EXPECT_EQ(place(use, R"({"role":"user"})"), "chat.messages[3].content");
    EXPECT_EQ(place(use, R"({"role":"user","content":"a","tool_calls":[{}]})"),
              "chat.messages[3].tool_calls");
    EXPECT_EQ(place(use, R"({"role":"assistant","tool_calls":[{"function":{"name":"f"}}]})"),
              "chat.messages[3].tool_calls[0].function.arguments");
  }
  const std::string function = R"({"role":"function","content":"a"})";
  EXPECT_EQ(place(ChatUse::kTraining, function), "chat.messages[3].role");
  EXPECT_EQ(place(ChatUse::kRequest, function), "none");
}

TEST(ChatTest, OtherFormsAreRecognised) {
  EXPECT_THAT(Written(R"([{"from":"human","value":"a"},{"from":"gpt","value":"b"}])"),
              HasSubstr("ShareGPT"));
  EXPECT_THAT(Written(R"([{"role":"function","content":"a"}])"), HasSubstr("write tool"));
}

TEST(ChatTest, DepthAndNumberOfMessagesAreBounded) {
  const std::string deep = R"([{"role":"assistant","content":"x","more":)" + std::string(100, '[') +
                           std::string(100, ']') + "}]";
  EXPECT_THAT(Written(deep), StartsWith("BAD_JSON"));
  std::string many = "[";
  for (int i = 0; i <= 10'000; ++i) many += R"({"role":"assistant","content":""},)";
  many.back() = ']';
  EXPECT_THAT(Written(many), StartsWith("TOO_MANY_MESSAGES"));
}

TEST(ChatTest, ToolsAreFunctionsWithNames) {
  EXPECT_EQ(
      WithTools(R"([{"type": "function", "function": {"name": "f", "a": {"z": 1, "b": 2}}}])"),
      R"([{"type":"function","function":{"name":"f","a":{"z":1,"b":2}}}])");
  EXPECT_EQ(WithTools(R"([{"name":"f"}])"), R"([{"name":"f"}])");
  EXPECT_EQ(WithTools("null"), "");
  EXPECT_EQ(WithTools("[]"), "");
  EXPECT_THAT(WithTools("{}"), StartsWith("WRONG_TYPE: tools must be a list"));
  EXPECT_THAT(WithTools("[1]"), StartsWith("WRONG_TYPE: tools[0] must be an object"));
  EXPECT_THAT(WithTools(R"([{"function":{}}])"), StartsWith("BAD_TOOLS: tools[0]"));
}

}  // namespace
}  // namespace graft::datasets
