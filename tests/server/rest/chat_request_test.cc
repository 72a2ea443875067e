#include "server/rest/chat_request.h"

#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/must.h"

namespace graft::server::rest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

/// A request with a model and one message, and `more` over it.
Json Chat(const Json& more = Json::object()) {
  Json body = {{"model", "support"},
               {"messages", Json::array({{{"role", "user"}, {"content", "hello"}}})}};
  body.update(more);
  return body;
}
ChatRequest Read(const Json& more = Json::object()) {
  return graft::testing::Must(ReadChatRequest(Chat(more)));
}
graft::v1::ChatMessage ReadOne(Json message) {
  return Read({{"messages", Json::array({std::move(message)})}}).generate.chat().messages(0);
}

TEST(ChatRequestTest, AMessageAloneIsEnough) {
  const ChatRequest request = Read();

  EXPECT_EQ(request.model, "support");
  EXPECT_EQ(request.generate.chat().messages(0).role(), "user");
  EXPECT_EQ(request.generate.chat().messages(0).content(), "hello");
  EXPECT_EQ(request.generate.generation().ByteSizeLong(), 0U) << "the base's own settings hold";
  EXPECT_FALSE(request.stream.stream);
  EXPECT_FALSE(request.wants_logprobs);
}

TEST(ChatRequestTest, PartsOfTextAreJoined) {
  const Json text = {{"type", "text"}, {"text", "a"}};
  const Json more = {{"type", "text"}, {"text", "b"}};

  EXPECT_EQ(ReadOne({{"role", "user"}, {"content", {text, more}}}).content(), "ab");
  EXPECT_EQ(ReadOne({{"role", "user"}, {"content", Json::array()}}).content(), "");
}

TEST(ChatRequestTest, AnAbsentContentStaysAbsent) {
  for (const Json& message :
       {Json{{"role", "assistant"}}, Json{{"role", "assistant"}, {"content", nullptr}}})
    EXPECT_FALSE(ReadOne(message).has_content()) << message;
}

TEST(ChatRequestTest, AnAnswerIsSentBackAsItCame) {
  const auto message = ReadOne({{"role", "assistant"},
                                {"content", "yes"},
                                {"refusal", nullptr},
                                {"annotations", Json::array()},
                                {"audio", nullptr},
                                {"function_call", nullptr},
                                {"reasoning_content", "hm"},
                                {"tool_calls", nullptr}});

  EXPECT_EQ(message.content(), "yes");
  EXPECT_EQ(message.reasoning_content(), "hm");
}

TEST(ChatRequestTest, ToolCallsKeepTheirArgumentsAsText) {
  const Json call = {
      {"id", "call_1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{}"}}}};

  const auto message = ReadOne({{"role", "assistant"}, {"tool_calls", {call}}});

  ASSERT_EQ(message.tool_calls_size(), 1);
  EXPECT_EQ(message.tool_calls(0).id(), "call_1");
  EXPECT_EQ(message.tool_calls(0).function().name(), "f");
  EXPECT_EQ(message.tool_calls(0).function().arguments(), "{}");
}

TEST(ChatRequestTest, ToolsReachTheTemplateUnlessNoneIsToBeUsed) {
  const Json tools = {{{"type", "function"}, {"function", {{"name", "f"}}}}};

  EXPECT_THAT(Read({{"tools", tools}}).generate.chat().tools(), ElementsAre(tools[0].dump()));
  EXPECT_THAT(Read({{"tools", tools}, {"tool_choice", "none"}}).generate.chat().tools(), IsEmpty());
}

TEST(ChatRequestTest, TemplateVariablesAreJson) {
  const ChatRequest request =
      Read({{"chat_template_kwargs", {{"enable_thinking", false}, {"style", "short"}}}});

  EXPECT_THAT(request.generate.chat().variables(),
              UnorderedElementsAre(Pair("enable_thinking", "false"), Pair("style", "\"short\"")));
}

TEST(ChatRequestTest, BothNamesOfTheLengthAreRead) {
  for (const Json& more : {Json{{"max_tokens", 5}}, Json{{"max_completion_tokens", 5}},
                           Json{{"max_tokens", 5}, {"max_completion_tokens", 5}}})
    EXPECT_EQ(Read(more).generate.generation().max_tokens(), 5) << more;
}

TEST(ChatRequestTest, LogprobsAskForTheLikeliestToo) {
  EXPECT_FALSE(Read({{"logprobs", false}}).generate.generation().has_logprobs());
  EXPECT_TRUE(Read({{"logprobs", true}}).wants_logprobs);
  EXPECT_EQ(Read({{"logprobs", true}}).generate.generation().logprobs(), 0);
  EXPECT_EQ(Read({{"logprobs", true}, {"top_logprobs", 5}}).generate.generation().logprobs(), 5);
}

TEST(ChatRequestTest, WhatChangesNoAnswerIsReadPast) {
  Read({{"user", "u"},
        {"store", true},
        {"metadata", {{"a", "b"}}},
        {"service_tier", "auto"},
        {"parallel_tool_calls", false},
        {"response_format", {{"type", "text"}}},
        {"modalities", {"text"}},
        {"tool_choice", "auto"},
        {"functions", nullptr},
        {"temperature", nullptr}});
}

struct Row {
  const char* name;
  Json more;
  const char* field;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

Json Message(Json message) { return {{"messages", Json::array({std::move(message)})}}; }

std::vector<Row> Rows() {
  const Json image = {{"type", "image_url"}, {"image_url", {{"url", "data:"}}}};
  return {
      {"NoModel", {{"model", nullptr}}, "model"},
      {"ModelOfAnotherType", {{"model", 1}}, "model"},
      {"ModelTooLong", {{"model", std::string(513, 'm')}}, "model"},
      {"NoMessages", {{"messages", nullptr}}, "messages"},
      {"MessagesOfAnotherType", {{"messages", "hello"}}, "messages"},
      {"MessageOfAnotherType", Message("hello"), "messages[0]"},
      {"NoRole", Message({{"content", "x"}}), "messages[0].role"},
      {"RoleOfAnotherType", Message({{"role", 1}}), "messages[0].role"},
      {"UnknownFieldOfAMessage", Message({{"role", "user"}, {"contents", "x"}}),
       "messages[0].contents"},
      {"ContentOfAnotherType", Message({{"role", "user"}, {"content", 1}}), "messages[0].content"},
      {"ContentAnObject", Message({{"role", "user"}, {"content", Json::object()}}),
       "messages[0].content"},
      {"Image", Message({{"role", "user"}, {"content", {image}}}), "messages[0].content[0].type"},
      {"PartOfAnotherType", Message({{"role", "user"}, {"content", {"x"}}}),
       "messages[0].content[0]"},
      {"PartWithTypeOfAnotherType", Message({{"role", "user"}, {"content", {{{"type", 1}}}}}),
       "messages[0].content[0].type"},
      {"Refusal", Message({{"role", "assistant"}, {"refusal", "no"}}), "messages[0].refusal"},
      {"ToolCallsOfAnotherType", Message({{"role", "assistant"}, {"tool_calls", "x"}}),
       "messages[0].tool_calls"},
      {"ToolCallOfAnotherType", Message({{"role", "assistant"}, {"tool_calls", {1}}}),
       "messages[0].tool_calls[0]"},
      {"ToolCallWithoutFunction",
       Message({{"role", "assistant"}, {"tool_calls", Json::array({{{"id", "1"}}})}}),
       "messages[0].tool_calls[0].function"},
      {"FunctionOfAnotherType",
       Message({{"role", "assistant"}, {"tool_calls", Json::array({{{"function", "f"}}})}}),
       "messages[0].tool_calls[0].function"},
      {"ArgumentsOfAnotherType",
       Message({{"role", "assistant"},
                {"tool_calls", Json::array({{{"function", {{"arguments", Json::object()}}}}})}}),
       "messages[0].tool_calls[0].function.arguments"},
      {"TwoLengths", {{"max_tokens", 5}, {"max_completion_tokens", 6}}, "max_tokens"},
      {"LengthZero", {{"max_tokens", 0}}, "max_tokens"},
      {"LengthInTheMiddle", {{"max_tokens", 1.5}}, "max_tokens"},
      {"TopLogprobsAlone", {{"top_logprobs", 2}}, "top_logprobs"},
      {"TooManyTopLogprobs", {{"logprobs", true}, {"top_logprobs", 21}}, "top_logprobs"},
      {"LogprobsANumber", {{"logprobs", 2}}, "logprobs"},
      {"StreamOptionsAlone", {{"stream_options", Json::object()}}, "stream_options"},
      {"ResponseFormat", {{"response_format", {{"type", "json_object"}}}}, "response_format"},
      {"ResponseFormatAText", {{"response_format", "text"}}, "response_format"},
      {"ResponseFormatOfAnotherType", {{"response_format", {{"type", 5}}}}, "response_format"},
      {"ResponseFormatOfNone", {{"response_format", {{"type", nullptr}}}}, "response_format"},
      {"Audio", {{"modalities", {"text", "audio"}}}, "modalities"},
      {"ToolChoice", {{"tool_choice", "required"}}, "tool_choice"},
      {"ToolChoiceAnObject", {{"tool_choice", Json::object()}}, "tool_choice"},
      {"ToolsOfAnotherType", {{"tools", "f"}}, "tools"},
      {"ToolOfAnotherType", {{"tools", {"f"}}}, "tools"},
      {"VariablesOfAnotherType", {{"chat_template_kwargs", 1}}, "chat_template_kwargs"},
      {"Functions", {{"functions", Json::array()}}, "functions"},
      {"ReasoningEffort", {{"reasoning_effort", "low"}}, "reasoning_effort"},
      {"UnknownField", {{"temprature", 1}}, "temprature"},
  };
}

class ChatRequestFaultTest : public ::testing::TestWithParam<Row> {};

TEST_P(ChatRequestFaultTest, NamesTheField) {
  const Status status = ReadChatRequest(Chat(GetParam().more)).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  ASSERT_THAT(status.details(), ::testing::SizeIs(1));
  EXPECT_EQ(status.details()[0].field, GetParam().field);
  EXPECT_THAT(status.message(), HasSubstr(GetParam().field));
}

INSTANTIATE_TEST_SUITE_P(Rows, ChatRequestFaultTest, ::testing::ValuesIn(Rows()),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace graft::server::rest
