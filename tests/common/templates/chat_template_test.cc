/// What a rendering is given besides the template.
#include "common/templates/chat_template.h"

#include <gmock/gmock.h>

#include <thread>

#include "tests/common/templates/render.h"

namespace graft::templates {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string RenderChat(std::string_view source, const Conversation& conversation,
                       const RenderOptions& options = {}) {
  const auto rendered = MustParse(source).Render(conversation, options);
  EXPECT_TRUE(rendered.ok()) << rendered.status();
  return rendered.ok() ? rendered->text : "";
}

TEST(ChatTemplateTest, MessagesKeepTheirFieldsAndTheirOrder) {
  Conversation chat;
  chat.messages = {{{"role", "user"}, {"zeta", 1}, {"alpha", {{"b", 1.0}, {"a", true}}}}};

  EXPECT_EQ(RenderChat("{{ messages | tojson }}", chat),
            R"([{"role": "user", "zeta": 1, "alpha": {"b": 1.0, "a": true}}])");
}

TEST(ChatTemplateTest, FieldsThatAreNullAreAbsent) {
  Conversation chat;
  chat.messages = {{{"role", "user"}, {"content", nullptr}, {"x", {{"y", nullptr}}}}};

  EXPECT_EQ(RenderChat("{{ messages[0].content is defined }} {{ messages[0].x }}", chat),
            "False {'y': None}");
}

TEST(ChatTemplateTest, ReasoningGoesByEitherName) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    Conversation chat;
    chat.messages = {{{"role", "assistant"}, {name, "hm"}}};
    EXPECT_EQ(RenderChat("{{ messages[0].reasoning_content }} {{ messages[0].thinking }}", chat),
              "hm hm");
  }
}

TEST(ChatTemplateTest, ToolsAndDocumentsAreNoneUnlessGiven) {
  EXPECT_EQ(RenderChat("{{ tools }} {{ documents }}", {}), "None None");
  Conversation chat;
  chat.tools = {{{"name", "f"}}};
  EXPECT_EQ(RenderChat("{{ tools[0].name }}", chat), "f");
}

TEST(ChatTemplateTest, VariablesWinOverSpecialTokensAndThoseOverNothing) {
  RenderOptions options;
  options.special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  options.variables = {{"eos_token", "<end>"}, {"enable_thinking", false}, {"range", 5}};
  options.add_generation_prompt = true;

  EXPECT_EQ(RenderChat("{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ enable_thinking }}{{ "
                       "add_generation_prompt }}{{ range }}",
                       {}, options),
            "<s><end>FalseTrue5");
}

TEST(ChatTemplateTest, VariablesDontTakeTheConversationsNames) {
  RenderOptions options;
  options.variables = {{"messages", 1}};

  const Status status = MustParse("x").Render({}, options).status();

  EXPECT_EQ(status.details()[0].field, "variables.messages");
}

TEST(ChatTemplateTest, WhatIsNoConversationIsRefusedByField) {
  const ChatTemplate parsed = MustParse("x");
  const auto field = [&](const OrderedJson& messages, const OrderedJson& tools) {
    return parsed.Render({messages, tools}, {}).status().details().at(0).field;
  };
  EXPECT_EQ(field("x", nullptr), "messages");
  EXPECT_EQ(field({1}, nullptr), "messages[0]");
  EXPECT_EQ(field(OrderedJson::array({Message("user", "a"), 5}), nullptr), "messages[1]");
  EXPECT_EQ(field(OrderedJson::array(), "x"), "tools");
  EXPECT_EQ(field({{{"role", "user"}, {"n", 18446744073709551615U}}}, nullptr), "messages[0].n");
}

TEST(ChatTemplateTest, TheDateIsTheOneGiven) {
  RenderOptions options;
  options.now = std::chrono::sys_days(std::chrono::year(2024) / 7 / 26) + std::chrono::hours(15);

  EXPECT_EQ(RenderChat("{{ strftime_now('%d %b %Y') }}", {}, options), "26 Jul 2024");
}

TEST(ChatTemplateTest, WhatGenerationBlocksWriteIsToldInBytes) {
  const ChatTemplate parsed = MustParse(
      "{% for x in '\u00e9a' %}<{% generation %}{{ x }}!{% endgeneration %}>{% endfor %}");

  const auto rendered = parsed.Render({}, {});

  EXPECT_TRUE(parsed.marks_generation());
  EXPECT_EQ(rendered->text, "<\u00e9!><a!>");
  EXPECT_THAT(rendered->generated, ElementsAre(ByteRange{1, 4}, ByteRange{6, 8}));
  EXPECT_FALSE(rendered->has_hidden_generation);
}

TEST(ChatTemplateTest, AGenerationBlockInACaptureHasNoPlace) {
  for (const char* source :
       {"{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ m() }}",
        "{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x }}",
        "{% generation %}{% generation %}a{% endgeneration %}{% endgeneration %}"}) {
    const auto rendered = MustParse(source).Render({}, {});
    EXPECT_EQ(rendered->text, "a");
    EXPECT_TRUE(rendered->has_hidden_generation);
  }
}

TEST(ChatTemplateTest, OneTemplateRendersInManyThreads) {
  const ChatTemplate parsed = MustParse(
      "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ 'x' * ns.n "
      "}}"
      "{{ m.content | upper }}{% endfor %}{{ [1, 'a'] }}");
  Conversation chat;
  chat.messages = {Message("user", "a"), Message("user", "b")};
  std::vector<std::thread> threads;
  std::vector<std::string> texts(4);
  for (std::string& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) text = parsed.Render(chat, {})->text;
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_THAT(texts, testing::Each("xAxxB[1, 'a']"));
}

}  // namespace
}  // namespace graft::templates
