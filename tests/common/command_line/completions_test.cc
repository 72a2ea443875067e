#include "common/command_line/completions.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/command_line/command_line.h"

namespace graft::command_line {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

/// A program with all that the generators tell apart.
class CompletionsTest : public testing::Test {
 protected:
  CompletionsTest() {
    line_.RequireCommand();
    Command root = line_.root();
    root.Add("--server", text_, "The server's address");
    root.AddFlag("--json", flag_, "Print JSON");
    Command paint =
        root.AddCommand("paint", "Paint [it]: with `care` and a \\ or \"two\", it's 'so'");
    paint.Add("--colour", text_, "Which").OneOf({"red", "blue"});
    paint.Add("--size", text_, "How large").Offer({"small", "large"});
    paint.Add("--title", text_, "What stands below it");
    paint.Add("--layer", list_, "Layers");
    Command show = root.AddCommand("show", "Show it");
    show.Add("what", text_, "What").Required().OneOf({"plan", "picture"});
    folder_.emplace(*TempFolder::Create());
  }

  static bool HasShell(const std::string& shell) {
    return std::system(("command -v " + shell + " >/dev/null 2>&1").c_str()) == 0;
  }
  std::string Script(const std::string& shell, const CommandLine& line) {
    const std::string path = (folder_->path() / shell).string();
    std::ofstream(path) << Completions(line.Describe(), shell);
    return path;
  }
  /// What a shell's command prints, a word a line.
  static std::vector<std::string> Lines(const std::string& command) {
    std::vector<std::string> lines;
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string all;
    std::array<char, 4096> part{};
    while (const size_t got = std::fread(part.data(), 1, part.size(), pipe))
      all.append(part.data(), got);
    EXPECT_EQ(::pclose(pipe), 0) << command;
    std::istringstream stream(all);
    for (std::string one; std::getline(stream, one);) {
      if (!one.empty()) lines.push_back(one);
    }
    return lines;
  }
  /// What bash offers for a line's last word, as bash itself splits the line.
  std::vector<std::string> Bash(const std::string& words, const std::string& function = "_prog") {
    const std::string path = Script("bash", line_);
    return Lines("bash -c 'source " + path + "; COMP_WORDS=(" + words +
                 "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); " + function +
                 "; printf \"%s\\n\" \"${COMPREPLY[@]}\"'");
  }
  std::vector<std::string> Fish(const std::string& typed) {
    std::vector<std::string> words = Lines("fish --no-config -c \"source " + Script("fish", line_) +
                                           "; complete -C '" + typed + "'\"");
    for (std::string& word : words) word = word.substr(0, word.find('\t'));
    return words;
  }

  std::string text_;
  bool flag_ = false;
  std::vector<std::string> list_;
  CommandLine line_{"prog", "prog 1.2.3", "prog: paints"};
  std::optional<TempFolder> folder_;
};

TEST_F(CompletionsTest, BashOffersCommandsAndTheRootsOptions) {
  EXPECT_THAT(Bash("prog \"\""), UnorderedElementsAre("paint", "show"));
  EXPECT_THAT(Bash("prog p"), ElementsAre("paint"));
  EXPECT_THAT(Bash("prog --"), UnorderedElementsAre("--help", "--version", "--server", "--json"));
  EXPECT_THAT(Bash("prog --json s"), ElementsAre("show"));
}

TEST_F(CompletionsTest, BashOffersACommandsOptionsAndTheRootsBehindIt) {
  EXPECT_THAT(Bash("prog paint --"), UnorderedElementsAre("--help", "--colour", "--size", "--title",
                                                          "--layer", "--server", "--json"));
  EXPECT_THAT(Bash("prog --json paint --s"), UnorderedElementsAre("--size", "--server"));
}

TEST_F(CompletionsTest, BashOffersValuesOfWhatHasThem) {
  EXPECT_THAT(Bash("prog paint --colour \"\""), UnorderedElementsAre("red", "blue"));
  EXPECT_THAT(Bash("prog paint --colour r"), ElementsAre("red"));
  EXPECT_THAT(Bash("prog paint --size l"), ElementsAre("large"));
  EXPECT_THAT(Bash("prog paint --colour ="), UnorderedElementsAre("red", "blue"));
  EXPECT_THAT(Bash("prog paint --colour = b"), ElementsAre("blue"));
  EXPECT_THAT(Bash("prog show \"\""), UnorderedElementsAre("plan", "picture"));
  EXPECT_THAT(Bash("prog show pl"), ElementsAre("plan"));
}

TEST_F(CompletionsTest, BashLeavesOtherValuesToFileNames) {
  EXPECT_THAT(Bash("prog paint --title \"\""), IsEmpty());
  EXPECT_THAT(Bash("prog paint --title --"), IsEmpty());
  EXPECT_THAT(Bash("prog --server s"), IsEmpty());
  EXPECT_THAT(Bash("prog paint -- --"), IsEmpty());
}

TEST_F(CompletionsTest, BashTakesNoValueForACommand) {
  EXPECT_THAT(Bash("prog --server paint \"\""), UnorderedElementsAre("paint", "show"));
  EXPECT_THAT(Bash("prog --server = paint s"), ElementsAre("show"));
  EXPECT_THAT(Bash("prog paint --title show --c"), ElementsAre("--colour"));
}

TEST_F(CompletionsTest, AProgramWithoutCommandsOffersItsOptions) {
  CommandLine line("my-prog", "1", "my-prog: works");
  line.root().Add("--level", text_, "Level").OneOf({"low", "high"});
  line.AddScriptOptions();
  const std::string begin = "bash -c 'source " + Script("bash", line) + "; COMP_WORDS=(my-prog ";
  const std::string end =
      "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _my_prog; printf \"%s\\n\" "
      "\"${COMPREPLY[@]}\"'";

  EXPECT_THAT(Lines(begin + "--" + end), UnorderedElementsAre("--help", "--version", "--level",
                                                              "--completions", "--man-page"));
  EXPECT_THAT(Lines(begin + "--level high --completions \"\"" + end),
              UnorderedElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(Lines(begin + "--level \"\"" + end), UnorderedElementsAre("low", "high"));
}

TEST_F(CompletionsTest, BashReadsTheScriptUnderItsStrictestOptions) {
  EXPECT_THAT(
      Lines("bash -euo pipefail -c 'source " + Script("bash", line_) + "; complete -p prog'"),
      ElementsAre("complete -o default -F _prog prog"));
}

TEST_F(CompletionsTest, ZshsScriptHasAllOfItAndIsReadByZsh) {
  const std::string script = Completions(line_.Describe(), "zsh");

  for (const char* part : {"#compdef prog\n", "'paint:Paint", "--colour=[Which]:TEXT:(red blue)",
                           "--size=[How large]:TEXT:(small large)",
                           "'*--layer=", ":what:(plan picture)", "Paint [it]"}) {
    EXPECT_THAT(script, HasSubstr(part));
  }
  if (!HasShell("zsh")) return;
  EXPECT_THAT(Lines("zsh -f -n " + Script("zsh", line_)), IsEmpty());
  EXPECT_THAT(
      Lines("zsh -f -c 'compdef() { print $1 for $2 }; source " + Script("zsh", line_) + "'"),
      ElementsAre("_prog for prog"));
}

TEST_F(CompletionsTest, FishsScriptHasAllOfItAndCompletes) {
  const std::string script = Completions(line_.Describe(), "fish");

  for (const char* part : {"-a paint -d 'Paint [it]", "-l colour -x -a 'red blue'",
                           "-l title -r -d", "-f -a 'plan picture'", "-l json -d"}) {
    EXPECT_THAT(script, HasSubstr(part));
  }
  if (!HasShell("fish")) return;
  EXPECT_THAT(Fish("prog "), UnorderedElementsAre("paint", "show"));
  EXPECT_THAT(Fish("prog --server paint s"), ElementsAre("show"));
  EXPECT_THAT(Fish("prog paint --colour "), UnorderedElementsAre("red", "blue"));
  EXPECT_THAT(Fish("prog paint --"), Contains("--server"));
  EXPECT_THAT(Fish("prog paint --"), Not(Contains("--version")));
  EXPECT_THAT(Fish("prog show p"), UnorderedElementsAre("plan", "picture"));
}

TEST_F(CompletionsTest, AScriptOptionIsAnAnswer) {
  CommandLine line("prog", "1.2.3", "prog: works");
  line.AddScriptOptions();
  for (const std::string& shell : Shells()) {
    const auto answer = line.Parse({"--completions", shell});

    ASSERT_TRUE(answer.has_value());
    EXPECT_FALSE(answer->is_fault);
    EXPECT_EQ(answer->text, Completions(line.Describe(), shell));
  }
  EXPECT_TRUE(line.Parse({"--completions", "tcsh"})->is_fault);
}

}  // namespace
}  // namespace graft::command_line
