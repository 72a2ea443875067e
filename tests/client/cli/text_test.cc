/// generate, chat and score: what they ask, and what they show.

#include <iostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../fake_server.h"
#include "client/cli/context.h"

namespace graft::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

/// Standard input for as long as it lives.
class Typed {
 public:
  explicit Typed(const std::string& text) : in_(text), before_(std::cin.rdbuf(in_.rdbuf())) {
    std::cin.clear();
  }
  ~Typed() { std::cin.rdbuf(before_); }

 private:
  std::istringstream in_;
  std::streambuf* const before_;
};

class TextTest : public testing::Test {
 protected:
  Outcome Run(const std::vector<std::string>& arguments) {
    return RunCli(server_.address(), arguments);
  }
  Outcome AtTerminal(const std::vector<std::string>& arguments) {
    return RunCli(server_.address(), arguments, /*terminal=*/true);
  }
  static std::vector<std::string> Said(const v1::Chat& chat) {
    std::vector<std::string> said;
    for (const auto& message : chat.messages())
      said.push_back(message.role() + ": " + message.content());
    return said;
  }

  FakeServer server_;
};

TEST_F(TextTest, WhatIsNotSaidIsntSent) {
  ASSERT_EQ(Run({"generate", "--adapter", "a@2", "Once"}).code, kOk);

  const v1::GenerateRequest& request = server_.generations.at(0);
  EXPECT_EQ(request.adapter(), "a@2");
  EXPECT_EQ(request.prompt(), "Once");
  EXPECT_EQ(request.generation().ByteSizeLong(), 0);
}

TEST_F(TextTest, EverySettingIsSentAsItWasSaid) {
  const Outcome outcome = Run({"generate",
                               "--base",
                               "b",
                               "--max-tokens",
                               "9",
                               "--min-tokens",
                               "2",
                               "--temperature",
                               "0",
                               "--top-k",
                               "5",
                               "--top-p",
                               "0.5",
                               "--min-p",
                               "0.1",
                               "--repetition-penalty",
                               "1.1",
                               "--frequency-penalty",
                               "-1",
                               "--presence-penalty",
                               "0.5",
                               "--logit-bias",
                               "7=-2.5",
                               "--seed",
                               "18446744073709551615",
                               "--n",
                               "2",
                               "--stop",
                               "x,y",
                               "--stop",
                               "\n",
                               "--end-token",
                               "3",
                               "--logprobs",
                               "0",
                               "Once"});

  ASSERT_EQ(outcome.code, kOk) << outcome.err;
  const v1::GenerateRequest& request = server_.generations.at(0);
  const v1::GenerationSettings& settings = request.generation();
  EXPECT_EQ(request.base(), "b");
  EXPECT_EQ(settings.max_tokens(), 9);
  EXPECT_EQ(settings.min_tokens(), 2);
  EXPECT_TRUE(settings.has_temperature());
  EXPECT_EQ(settings.temperature(), 0);
  EXPECT_EQ(settings.top_k(), 5);
  EXPECT_EQ(settings.top_p(), 0.5);
  EXPECT_EQ(settings.min_p(), 0.1);
  EXPECT_EQ(settings.repetition_penalty(), 1.1);
  EXPECT_EQ(settings.frequency_penalty(), -1);
  EXPECT_EQ(settings.presence_penalty(), 0.5);
  EXPECT_EQ(settings.logit_bias(0).token(), 7);
  EXPECT_EQ(settings.logit_bias(0).bias(), -2.5);
  EXPECT_EQ(settings.seed(), UINT64_MAX);
  EXPECT_EQ(settings.n(), 2);
  EXPECT_THAT(settings.stop(), ElementsAre("x,y", "\n"));
  EXPECT_THAT(settings.end_tokens(), ElementsAre(3));
  EXPECT_TRUE(settings.has_logprobs());
}

TEST_F(TextTest, ATextIsShownAsItIs) {
  EXPECT_EQ(Run({"generate", "--adapter", "a", "or not "}).out, "to be\n");
  EXPECT_EQ(Run({"generate", "--adapter", "a", "one", "two"}).out, "to be\nto be\n");
  EXPECT_EQ(Run({"generate", "--adapter", "a", "--n", "2", "one"}).out, "[0] to be\n[1] to be\n");
}

TEST_F(TextTest, AtATerminalATextThatWasCutSaysSo) {
  server_.finish_reason = "length";
  const std::vector<std::string> asked = {"generate", "--adapter", "a", "--max-tokens", "2", "one"};

  const Outcome cut = AtTerminal(asked);
  const Outcome piped = Run(asked);
  const Outcome full = AtTerminal({"generate", "--adapter", "a", "one"});
  const Outcome several = AtTerminal({"generate", "--adapter", "a", "--n", "2", "one"});

  EXPECT_EQ(cut.out, "to be\n");
  EXPECT_EQ(cut.err, "(cut at 2 tokens: raise --max-tokens)\n");
  EXPECT_EQ(piped.err, "");
  EXPECT_EQ(full.err, "(cut at 2 tokens: no more fit behind the prompt)\n");
  EXPECT_THAT(several.err, HasSubstr("[1] (cut at 2 tokens: no more fit behind the prompt)\n"));
}

TEST_F(TextTest, AtATerminalATextThatEndedSaysNothing) {
  EXPECT_EQ(AtTerminal({"generate", "--adapter", "a", "--max-tokens", "2", "one"}).err, "");
}

TEST_F(TextTest, ATerminalIsShownNoControlCharacters) {
  server_.text_parts = {"a\x1b[2J\tb\n", "c\x07\u009b\x7f\r", "é"};
  const std::string raw = "a\x1b[2J\tb\nc\x07\u009b\x7f\ré\n";

  EXPECT_EQ(AtTerminal({"generate", "--adapter", "a", "one"}).out,
            "a\\u001b[2J\tb\nc\\u0007\\u009b\\u007f\\ré\n");
  EXPECT_THAT(AtTerminal({"generate", "--adapter", "a", "--n", "2", "one"}).out,
              AllOf(HasSubstr("[1] a\\u001b[2J\tb\nc"), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(Run({"generate", "--adapter", "a", "one"}).out, raw);
}

TEST_F(TextTest, TheConversationKeepsWhatTheTerminalIsNotShown) {
  server_.text_parts = {"a\x1b[2J"};
  const Typed typed("hello\nagain\n");

  AtTerminal({"chat", "--base", "b"});

  EXPECT_EQ(server_.generations.at(1).chat().messages(1).content(), "a\x1b[2J");
}

TEST_F(TextTest, FlagsThatChangeNothingAreToldOnceWithWhatToDo) {
  server_.without_effect = {"generation.n", "generation.seed", "generation.top_p"};
  const std::vector<std::string> words = {"generate", "--adapter", "a", "one", "two"};

  EXPECT_EQ(Run(words).err,
            "warning: the base's own temperature is 0, at which the likeliest token is always "
            "chosen, so --n, --seed and --top-p change nothing; say --temperature 1 to have texts "
            "drawn\n");
  const Outcome json = Run({"--json", "generate", "--adapter", "a", "one"});
  EXPECT_EQ(json.err, "");
  EXPECT_THAT(json.out, HasSubstr("settings_without_effect"));
}

TEST_F(TextTest, WhatTheChatTemplateDoesntReadIsTold) {
  server_.without_effect = {"generation.seed", "chat.messages.tool_calls", "chat.variables.x"};

  EXPECT_EQ(Run({"generate", "--adapter", "a", "one"}).err,
            "warning: the chat template doesn't read messages.tool_calls and variables.x, which "
            "change nothing\n"
            "warning: the base's own temperature is 0, at which the likeliest token is always "
            "chosen, so --seed changes nothing; say --temperature 1 to have texts drawn\n");
}

TEST_F(TextTest, PromptsComeFromStandardInputToo) {
  const Typed typed("first\nsecond\n");

  EXPECT_EQ(Run({"generate", "--adapter", "a", "-"}).out, "to be\nto be\n");

  ASSERT_THAT(server_.generations, SizeIs(2));
  EXPECT_EQ(server_.generations[1].prompt(), "second");
}

TEST_F(TextTest, APromptMayBeAMessage) {
  const Outcome outcome =
      Run({"generate", "--adapter", "a", "--chat", "--system", "Be brief.", "--template-variable",
           "enable_thinking=false", "--template-variable", "style=short", "--template-variable",
           "size={\"most\": 3}", "Who are you?"});
  ASSERT_EQ(outcome.code, kOk) << outcome.err;

  const v1::Chat& chat = server_.generations.at(0).chat();
  EXPECT_THAT(Said(chat), ElementsAre("system: Be brief.", "user: Who are you?"));
  EXPECT_EQ(chat.variables().at("enable_thinking"), "false");
  EXPECT_EQ(chat.variables().at("style"), "\"short\"") << "no JSON, so it's a text";
  EXPECT_EQ(chat.variables().at("size"), "{\"most\": 3}");
}

TEST_F(TextTest, AChatKeepsItsConversation) {
  const Typed typed("hello\r\n\nand then?\n");

  const Outcome outcome = Run({"chat", "--base", "b", "--system", "Be brief."});

  EXPECT_EQ(outcome.code, kOk) << outcome.err;
  EXPECT_EQ(outcome.out, "to be\nto be\n");
  EXPECT_EQ(outcome.err, "");
  ASSERT_THAT(server_.generations, SizeIs(2));
  EXPECT_THAT(Said(server_.generations[0].chat()), ElementsAre("system: Be brief.", "user: hello"));
  EXPECT_THAT(
      Said(server_.generations[1].chat()),
      ElementsAre("system: Be brief.", "user: hello", "assistant: to be", "user: and then?"));
}

TEST_F(TextTest, AtATerminalAChatOutlivesAFault) {
  const Typed typed("hello\nagain\n");
  server_.fail_first = 1;
  server_.failure = InvalidArgumentError("too long");
  std::ostringstream out, err;

  const Environment terminal{server_.address(), "", true, true, true};

  const int code = cli::Run({"chat", "--base", "b"}, terminal, out, err);

  EXPECT_EQ(code, kOk);
  EXPECT_EQ(out.str(), "to be\n");
  EXPECT_THAT(err.str(), HasSubstr("too long"));
  EXPECT_THAT(Said(server_.generations.at(1).chat()), ElementsAre("user: again"));
}

TEST_F(TextTest, ElsewhereAChatEndsAtAFault) {
  const Typed typed("hello\nagain\n");
  server_.fail_first = 1;
  server_.failure = InvalidArgumentError("too long");

  EXPECT_EQ(Run({"chat", "--base", "b"}).code, kRefused);

  EXPECT_THAT(server_.generations, SizeIs(1));
}

TEST_F(TextTest, BeforeItsFirstPartATextIsAskedForAgain) {
  server_.fail_first = 2;

  EXPECT_EQ(Run({"generate", "--adapter", "a", "one"}).out, "to be\n");

  EXPECT_THAT(server_.generations, SizeIs(3));
}

TEST_F(TextTest, BehindItsFirstPartATextIsNotAskedForAgain) {
  server_.fail_texts_after = 1;

  const Outcome outcome = Run({"generate", "--adapter", "a", "one"});

  EXPECT_EQ(outcome.code, kRefused);
  EXPECT_EQ(outcome.out, "to \n");
  EXPECT_THAT(outcome.err, HasSubstr("draining"));
  EXPECT_THAT(server_.generations, SizeIs(1));
}

TEST_F(TextTest, ScoresAreShownByTextAndByToken) {
  EXPECT_EQ(Run({"score", "--adapter", "a", "ab", "ab"}).out,
            "-1.5000  2 tokens  ab\n-1.5000  2 tokens  ab\n");
  EXPECT_EQ(Run({"score", "--base", "b", "--tokens", "ab"}).out,
            "-1.5000  2 tokens  ab\n  -  0  a\n  -1.5000  0  b\n");
  EXPECT_EQ(server_.scored.back().base(), "b");
  EXPECT_EQ(server_.scored.back().inputs(0).prompt(), "");
}

TEST_F(TextTest, APairIsAPromptAndItsText) {
  ASSERT_EQ(Run({"score", "--adapter", "a", "--pair", "the cat", " sat"}).code, kOk);

  EXPECT_EQ(server_.scored.at(0).inputs(0).prompt(), "the cat");
  EXPECT_EQ(server_.scored.at(0).inputs(0).text(), " sat");
}

TEST_F(TextTest, WhatCannotBeMeantAsksNoServer) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"generate", "text"},
           {"generate", "--adapter", "a", "--base", "b", "text"},
           {"generate", "--adapter", "a"},
           {"generate", "--adapter", "a", "--system", "x", "text"},
           {"generate", "--adapter", "a", "--logit-bias", "7", "text"},
           {"generate", "--adapter", "a", "--end-token", "x", "text"},
           {"generate", "--adapter", "a", "--temperature", "warm", "text"},
           {"generate", "--adapter", "a", "--chat", "--template-variable", "x", "text"},
           {"generate", "--adapter", "a", "--chat", "--template-variable", "x=1",
            "--template-variable", "x=2", "text"},
           {"generate", "--adapter", "a", "--template-variable", "x=1", "text"},
           {"chat"},
           {"score", "text"},
           {"score", "--adapter", "a"}}) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, kUsage) << testing::PrintToString(words);
    EXPECT_FALSE(outcome.err.empty());
  }
  EXPECT_EQ(server_.calls, 0);
}

}  // namespace
}  // namespace graft::cli
