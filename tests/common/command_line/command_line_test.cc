#include "common/command_line/command_line.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::command_line {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(CommandLineTest, ValuesAreWrittenAndWhatIsNotGivenStays) {
  CommandLine line("prog", "1.2.3", "what it does");
  std::string text = "before", untouched = "before";
  int number = 0;
  double fraction = 0;
  bool flag = false;
  std::vector<std::string> list;
  line.root().Add("--text", text, "a text");
  const Option absent = line.root().Add("--untouched", untouched, "a text");
  const Option given = line.root().Add("--number", number, "a number");
  line.root().Add("--fraction", fraction, "a number");
  line.root().AddFlag("--flag", flag, "a flag");
  line.root().Add("--list", list, "some texts").SplitAt(',');

  const auto answer = line.Parse({"--text", "after", "--number=7", "--fraction", "0.5", "--flag",
                                  "--list", "a,b", "--list", "c"});

  ASSERT_FALSE(answer.has_value()) << answer->text;
  EXPECT_EQ(text, "after");
  EXPECT_EQ(untouched, "before");
  EXPECT_EQ(number, 7);
  EXPECT_EQ(fraction, 0.5);
  EXPECT_TRUE(flag);
  EXPECT_THAT(list, ElementsAre("a", "b", "c"));
  EXPECT_TRUE(given.is_given());
  EXPECT_FALSE(absent.is_given());
}

TEST(CommandLineTest, AListThatTakesOneAtATimeLeavesWhatFollowsToOthers) {
  CommandLine line("prog", "1.2.3", "what it does");
  std::vector<std::string> list, rest;
  line.root().Add("--list", list, "some texts").OneAtATime();
  line.root().Add("rest", rest, "the rest");

  ASSERT_FALSE(line.Parse({"--list", "a", "x", "--list", "b", "y"}).has_value());

  EXPECT_THAT(list, ElementsAre("a", "b"));
  EXPECT_THAT(rest, ElementsAre("x", "y"));
}

TEST(CommandLineTest, MainsArgumentsBeginBehindTheProgramsName) {
  CommandLine line("prog", "1.2.3", "what it does");
  int number = 0;
  line.root().Add("--number", number, "a number");
  const char* argv[] = {"--number", "--number", "3"};

  EXPECT_FALSE(line.Parse(3, argv).has_value());
  EXPECT_EQ(number, 3);
}

TEST(CommandLineTest, EachTextIsTakenAsItIs) {
  const std::vector<std::string> texts = {"[a,b]", "[UNK]", "[]",    "[[x]]", "a]",
                                          "[b",    "{a,b}", "\"q\"", "++",    "say"};
  std::vector<std::string> list, rest, arguments = {"say"};
  arguments.insert(arguments.end(), texts.begin(), texts.end());
  for (const std::string& text : texts) arguments.insert(arguments.end(), {"--list", text});
  arguments.insert(arguments.end(), {"--one=[a,b]", "--taken", "[c]"});
  CommandLine line("prog", "1.2.3", "what it does");
  line.RequireCommand();
  std::string one, taken;
  Command command = line.root().AddCommand("say", "says texts");
  command.Add("rest", rest, "texts");
  command.Add("--list", list, "texts");
  command.Add("--one", one, "a text");
  command.AddFunction(
      "--taken", [&](const std::string& text) { taken = text; }, "a text");

  const auto answer = line.Parse(arguments);

  ASSERT_FALSE(answer.has_value()) << answer->text;
  EXPECT_EQ(rest, texts);
  EXPECT_EQ(list, texts);
  EXPECT_EQ(one, "[a,b]");
  EXPECT_EQ(taken, "[c]");
}

TEST(CommandLineTest, WhatIsOutOfBoundsIsAFaultThatNamesTheOption) {
  const std::vector<std::vector<std::string>> lines = {
      {"--whole", "11"},  {"--whole", "1.5"},
      {"--real", "0.4"},  {"--word", "green"},
      {"--size", "12Q"},  {"--unknown", "much"},
      {"--whole"},        {"stray"},
      {"--size", "-5"},   {"--size", "9999999T"},
      {"--size", ""},     {"--size", "G"},
      {"--seed", "-1"},   {"--seed", "18446744073709551616"},
      {"--seed", "0x1"},  {"--steps", "9223372036854775808"},
      {"--steps", "1e3"}, {"--steps", ""},
  };
  for (const std::vector<std::string>& arguments : lines) {
    CommandLine line("prog", "1.2.3", "what it does");
    int whole = 0;
    double real = 0;
    std::string word;
    uint64_t size = 0;
    std::optional<uint64_t> seed;
    int64_t steps = 0;
    line.root().Add("--seed", seed, "a number");
    line.root().Add("--steps", steps, "a number");
    line.root().Add("--whole", whole, "a number").Between(1, 10);
    line.root().Add("--real", real, "a number").Between(0.5, 1.0);
    line.root().Add("--word", word, "a word").OneOf({"red", "blue"});
    line.root().Add("--size", size, "bytes").InBytes();

    const auto answer = line.Parse(arguments);

    ASSERT_TRUE(answer.has_value()) << arguments.front();
    EXPECT_TRUE(answer->is_fault) << arguments.front();
    EXPECT_THAT(answer->message, HasSubstr(arguments.front()));
    EXPECT_THAT(answer->text, HasSubstr("--help"));
  }
}

TEST(CommandLineTest, SizesAreReadWithTheirUnits) {
  for (const auto& [text, bytes] :
       std::vector<std::pair<std::string, uint64_t>>{{"0", 0},
                                                     {"4096", 4096},
                                                     {"2k", 2048},
                                                     {"1.5G", 3ULL << 29},
                                                     {"16 GiB", 16ULL << 30},
                                                     {"3MB", 3ULL << 20},
                                                     {"1T", 1ULL << 40},
                                                     {"7B", 7}}) {
    CommandLine line("prog", "1.2.3", "what it does");
    uint64_t size = 1;
    line.root().Add("--size", size, "bytes").InBytes();

    const auto answer = line.Parse({"--size", text});

    EXPECT_FALSE(answer.has_value()) << answer->text;
    EXPECT_EQ(size, bytes) << text;
  }
}

TEST(CommandLineTest, TheLargestNumbersAreTaken) {
  CommandLine line("prog", "1.2.3", "what it does");
  std::optional<uint64_t> seed;
  int64_t steps = 0;
  line.root().Add("--seed", seed, "a number");
  line.root().Add("--steps", steps, "a number");

  ASSERT_FALSE(line.Parse({"--seed", "18446744073709551615", "--steps", "-9223372036854775808"}));

  EXPECT_EQ(seed, UINT64_MAX);
  EXPECT_EQ(steps, INT64_MIN);

  ASSERT_FALSE(line.Parse({"--seed", "010", "--steps", "08"}));
  EXPECT_EQ(seed, 10U);
  EXPECT_EQ(steps, 8);
}

TEST(CommandLineTest, HelpShowsDefaultsAndTheVersionIsAnAnswer) {
  CommandLine line("prog", "prog 1.2.3", "what it does");
  std::string text = "here and now";
  uint64_t size = 1 << 30;
  line.root().Add("--text", text, "a text").ShowDefault();
  line.root().Add("--size", size, "bytes").InBytes().ShowDefault("1G");

  const auto help = line.Parse({"--help"});
  ASSERT_TRUE(help.has_value());
  EXPECT_FALSE(help->is_fault);
  EXPECT_THAT(help->text, testing::AllOf(HasSubstr("what it does"), HasSubstr("here and now"),
                                         HasSubstr("1G")));

  const auto version = line.Parse({"--version"});
  ASSERT_TRUE(version.has_value());
  EXPECT_FALSE(version->is_fault);
  EXPECT_EQ(version->text, "prog 1.2.3\n");
}

TEST(CommandLineTest, TheLineWinsOverAVariable) {
  ASSERT_EQ(::setenv("GRAFT_TEST_SIZE", "2K", 1), 0);
  for (const bool on_line : {false, true}) {
    CommandLine line("prog", "1.2.3", "what it does");
    uint64_t size = 0;
    line.root().Add("--size", size, "bytes").InBytes().OrVariable("GRAFT_TEST_SIZE");

    const auto answer =
        line.Parse(on_line ? std::vector<std::string>{"--size", "3M"} : std::vector<std::string>{});

    ASSERT_FALSE(answer.has_value()) << answer->text;
    EXPECT_EQ(size, on_line ? 3U << 20 : 2U << 10);
  }
  ::unsetenv("GRAFT_TEST_SIZE");
}

TEST(CommandLineTest, SetGivesAValueAsTheLineWould) {
  CommandLine line("prog", "1.2.3", "what it does");
  int number = 0;
  bool on = false, off = true;
  std::vector<std::string> list;
  Option of_number = line.root().Add("--number", number, "a number").Between(1, 10);
  Option of_on = line.root().AddFlag("--on", on, "a flag");
  Option of_off = line.root().AddFlag("--off", off, "a flag");
  Option of_list = line.root().Add("--list", list, "some texts").SplitAt(',');
  ASSERT_FALSE(line.Parse(std::vector<std::string>{}).has_value());

  EXPECT_TRUE(of_number.Set("4").ok());
  EXPECT_TRUE(of_on.Set("true").ok());
  EXPECT_TRUE(of_off.Set("false").ok());
  EXPECT_TRUE(of_list.Set("a,b").ok());

  EXPECT_EQ(number, 4);
  EXPECT_TRUE(of_number.is_given());
  EXPECT_TRUE(on);
  EXPECT_FALSE(off);
  EXPECT_THAT(list, ElementsAre("a", "b"));
}

TEST(CommandLineTest, SetRefusesWhatTheLineWouldRefuse) {
  CommandLine line("prog", "1.2.3", "what it does");
  int number = 0;
  bool flag = false;
  Option of_number = line.root().Add("--number", number, "a number").Between(1, 10);
  Option of_flag = line.root().AddFlag("--flag", flag, "a flag");
  ASSERT_FALSE(line.Parse(std::vector<std::string>{}).has_value());

  const Status status = of_number.Set("11");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("11"));
  EXPECT_EQ(of_flag.Set("perhaps").code(), StatusCode::kInvalidArgument);
}

TEST(CommandLineTest, ACommandMustBeChosenAndTakesTheRootsOptionsBehindIt) {
  const auto parse = [](std::vector<std::string> arguments, std::string& chosen, bool& json) {
    CommandLine line("prog", "1.2.3", "what it does");
    line.RequireCommand();
    line.root().AddFlag("--json", json, "print JSON");
    for (const char* name : {"start", "stop"}) {
      line.root().AddCommand(name, "a command").OnChosen([&chosen, name] { chosen = name; });
    }
    EXPECT_THAT(line.root().CommandNames(), ElementsAre("start", "stop"));
    return line.Parse(std::move(arguments));
  };
  std::string chosen;
  bool json = false;

  EXPECT_FALSE(parse({"stop", "--json"}, chosen, json).has_value());
  EXPECT_EQ(chosen, "stop");
  EXPECT_TRUE(json);

  const auto unknown = parse({"stopp\x1b[1m]"}, chosen, json);
  ASSERT_TRUE(unknown.has_value());
  EXPECT_THAT(unknown->text, HasSubstr("there is no command or option \"stopp\\u001b[1m]\""));

  const auto none = parse({}, chosen, json);
  ASSERT_TRUE(none.has_value());
  EXPECT_TRUE(none->is_fault);
}

TEST(CommandLineTest, ARequiredOptionThatIsMissingIsAFault) {
  CommandLine line("prog", "1.2.3", "what it does");
  std::string text;
  line.root().Add("--text", text, "a text").Required();

  const auto answer = line.Parse(std::vector<std::string>{});

  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->is_fault);
  EXPECT_THAT(answer->message, HasSubstr("--text"));
}

}  // namespace
}  // namespace graft::command_line
