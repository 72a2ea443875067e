/// Chats as templates read them: fields as they were sent, faults by their places.

#include "worker/agent/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <optional>

#include "tests/support/details.h"

namespace graft::worker::agent {
namespace {

using graft::v1::Chat;
using graft::v1::ChatMessage;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ChatMessage& Add(Chat& chat, const std::string& role, const std::string& content) {
  ChatMessage& message = *chat.add_messages();
  message.set_role(role);
  message.set_content(content);
  return message;
}

Chat Hello() {
  Chat chat;
  Add(chat, "user", "hello");
  return chat;
}

templates::ChatFiles Files(const std::string& source) {
  return {.templates = {{"default", source}}, .special_tokens = {{"eos_token", "</s>"}}};
}

StatusOr<std::string> Render(const std::string& source, const Chat& chat) {
  GRAFT_ASSIGN_OR_RETURN(RenderedChat rendered, ChatRenderer().Render(Files(source), chat));
  return std::move(rendered.text);
}

TEST(ChatTest, ATemplateSeesWhatWasSentInItsOrder) {
  Chat chat = Hello();
  ChatMessage& call = *chat.add_messages();
  call.set_role("assistant");
  call.set_reasoning_content("hm");
  auto& tool_call = *call.add_tool_calls();
  tool_call.set_id("c1");
  tool_call.mutable_function()->set_name("add");
  tool_call.mutable_function()->set_arguments(R"({"b": 2, "a": 1})");
  ChatMessage& answer = Add(chat, "tool", "3");
  answer.set_tool_call_id("c1");
  answer.set_name("add");
  chat.add_tools(R"({"type": "function", "function": {"name": "add"}})");
  (*chat.mutable_variables())["style"] = R"({"brief": true})";

  const auto text = Render(
      "{% for m in messages %}{{ m | tojson }}\n{% endfor %}{{ tools | tojson }}"
      "{{ style.brief }}{{ eos_token }}{% if add_generation_prompt %}>{% endif %}",
      chat);

  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text,
            R"({"role": "user", "content": "hello"})"
            "\n"
            R"({"thinking": "hm", "role": "assistant", "reasoning_content": "hm", "tool_calls": [)"
            R"({"id": "c1", "type": "function", "function": {"name": "add", "arguments": )"
            R"({"b": 2, "a": 1}}}]})"
            "\n"
            R"({"role": "tool", "content": "3", "name": "add", "tool_call_id": "c1"})"
            "\n"
            R"([{"type": "function", "function": {"name": "add"}}]True</s>>)");
}

/// The zone of this process' clock for as long as it lives, in the form of POSIX' TZ.
class Zone {
 public:
  explicit Zone(const char* zone) {
    if (const char* before = std::getenv("TZ")) before_ = before;
    Set(zone);
  }
  ~Zone() { Set(before_ ? before_->c_str() : nullptr); }

 private:
  static void Set(const char* zone) {
    zone == nullptr ? ::unsetenv("TZ") : ::setenv("TZ", zone, 1);
    ::tzset();
  }
  std::optional<std::string> before_;
};

TEST(ChatTest, AClockShowsTheTimeOfTheRequestInUtcWhereverTheWorkerIs) {
  const Zone east("EAST-11:30");
  const auto utc = [] {
    const std::time_t now = std::time(nullptr);
    std::tm fields{};
    ::gmtime_r(&now, &fields);
    std::array<char, 32> text{};
    return std::string(text.data(), std::strftime(text.data(), text.size(), "%F %R", &fields));
  };
  const std::string before = utc();
  const auto text = Render("{{ strftime_now('%Y-%m-%d %H:%M') }}", Hello());

  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, ::testing::AnyOf(before, utc()));
}

TEST(ChatTest, FaultsAreToldByTheirPlaces) {
  const auto field = [](const std::function<void(Chat&)>& change) {
    Chat chat = Hello();
    change(chat);
    const StatusOr<std::string> text = Render("{{ messages | length }}", chat);
    EXPECT_EQ(text.status().code(), StatusCode::kInvalidArgument) << chat.ShortDebugString();
    return FieldOf(text.status());
  };
  EXPECT_EQ(field([](Chat& c) { c.clear_messages(); }), "chat.messages");
  EXPECT_EQ(field([](Chat& c) { Add(c, "robot", "x"); }), "chat.messages[1].role");
  EXPECT_EQ(field([](Chat& c) { Add(c, "", "x"); }), "chat.messages[1].role");
  EXPECT_EQ(field([](Chat& c) { c.mutable_messages(0)->clear_content(); }),
            "chat.messages[0].content");
  EXPECT_EQ(field([](Chat& c) { c.mutable_messages(0)->add_tool_calls(); }),
            "chat.messages[0].tool_calls");
  EXPECT_EQ(field([](Chat& c) { c.mutable_messages(0)->set_tool_call_id("x"); }),
            "chat.messages[0].tool_call_id");
  EXPECT_EQ(field([](Chat& c) { c.mutable_messages(0)->set_reasoning_content("x"); }),
            "chat.messages[0].reasoning_content");
  const auto with_call = [&](const std::string& arguments, const std::string& type = {}) {
    return field([&](Chat& c) {
      auto& call = *Add(c, "assistant", "x").add_tool_calls();
      call.set_type(type);
      call.mutable_function()->set_name("f");
      call.mutable_function()->set_arguments(arguments);
    });
  };
  const std::string function = "chat.messages[1].tool_calls[0]";
  EXPECT_EQ(with_call("[1]"), function + ".function.arguments");
  EXPECT_EQ(with_call("{"), function + ".function.arguments");
  EXPECT_EQ(with_call("{}", "magic"), function + ".type");
  EXPECT_EQ(field([](Chat& c) { c.add_tools("no JSON"); }), "chat.tools[0]");
  EXPECT_EQ(field([](Chat& c) { c.add_tools("[]"); }), "chat.tools[0]");
  EXPECT_EQ(field([](Chat& c) { (*c.mutable_variables())["a"] = "nonsense"; }), "chat.variables.a");
  EXPECT_EQ(field([](Chat& c) { (*c.mutable_variables())["messages"] = "1"; }),
            "chat.variables.messages");
}

TEST(ChatTest, FaultsOfATemplateAreTold) {
  const auto reason = [](const std::string& source) {
    const StatusOr<std::string> text = Render(source, Hello());
    EXPECT_EQ(text.status().code(), StatusCode::kInvalidArgument) << source;
    EXPECT_EQ(FieldOf(text.status()), "chat_template") << source;
    return ReasonOf(text.status());
  };
  EXPECT_EQ(reason("{% for %}"), "TEMPLATE_SYNTAX");
  EXPECT_EQ(reason("{{ raise_exception('no system message, please') }}"), "TEMPLATE_REFUSED");
  EXPECT_EQ(reason("{{ messages[0].content + 1 }}"), "TEMPLATE_FAILED");
  EXPECT_EQ(
      reason("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"),
      "TEMPLATE_LIMIT");
  EXPECT_THAT(Render("{{ raise_exception('no system message') }}", Hello()).status().message(),
              HasSubstr("no system message"));
}

TEST(ChatTest, WhatTheTemplateDoesntReadIsToldButNotOfTheVersionsOwnVariables) {
  Chat chat = Hello();
  chat.add_tools(R"({"type": "function", "function": {"name": "add"}})");
  (*chat.mutable_variables())["style"] = "1";
  const Json own = {{"mood", "calm"}};

  const auto plain = ChatRenderer().Render(Files("{{ messages[0].content }}"), chat, own);
  const auto full = ChatRenderer().Render(Files("{{ tools }}{{ style }}"), chat, own);

  ASSERT_TRUE(plain.ok() && full.ok()) << plain.status() << full.status();
  EXPECT_THAT(plain->unread, testing::ElementsAre("chat.tools", "chat.variables.style"));
  EXPECT_THAT(full->unread, testing::IsEmpty());
}

TEST(ChatTest, WithoutATemplateAPromptIsAskedFor) {
  const auto text = ChatRenderer().Render({}, Hello());

  EXPECT_EQ(text.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(text.status()), "NO_CHAT_TEMPLATE");
  EXPECT_THAT(text.status().message(), HasSubstr("give it a prompt instead"));
}

TEST(ChatTest, ManyTemplatesAreRenderedByOneRendererEachAsItself) {
  ChatRenderer renderer;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 50; ++i) {
      const std::string mark = std::to_string(i) + ":";
      const auto text = renderer.Render(Files(mark + "{{ messages[0].content }}"), Hello());
      EXPECT_THAT(text->text, StartsWith(mark));
    }
  }
}

}  // namespace
}  // namespace graft::worker::agent
