#include "common/command_line/man_page.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/command_line/command_line.h"

namespace graft::command_line {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ManPageTest : public testing::Test {
 protected:
  std::string text_;
  std::vector<std::string> list_;
  int number_ = 3;
  bool flag_ = false;
};

TEST_F(ManPageTest, TellsWhatHelpTells) {
  CommandLine line("prog", "prog 1.2.3", "prog: paints pictures\nExit codes: 0 ok.");
  line.RequireCommand();
  Command root = line.root();
  root.Add("--server", text_, "Its address").OrVariable("PROG_SERVER");
  Command paint = root.AddCommand("paint", "Paint it");
  paint.Add("--colour", text_, "Which").OneOf({"red", "blue"});
  paint.Add("--count", number_, "How many").Between(1, 9).ShowDefault();
  paint.AddFlag("--wet", flag_, "Now");
  paint.Add("files", list_, "Where to").Required();

  const std::string page = ManPage(line.Describe());

  EXPECT_THAT(page, StartsWith(".TH PROG 1 \"\" \"graft 1.2.3\" graft\n"));
  for (const char* part :
       {".SH NAME\nprog \\- paints pictures\n", "Exit codes: 0 ok.", ".SS paint\nPaint it\n",
        "\\fB\\-\\-server\\fR \\fITEXT\\fR\nIts address\n", "\\fBPROG_SERVER\\fR",
        "\\fB\\-\\-colour\\fR \\fIred\\fR|\\fIblue\\fR\nWhich\n", "\\fB\\-\\-wet\\fR\nNow\n",
        "\\fB\\-\\-count\\fR \\fIINT in [1 \\- 9]\\fR\nHow many\nDefault: 3.\n",
        "\\fBprog\\fR \\fBpaint\\fR [\\fIOPTIONS\\fR] \\fIfiles\\fR ...\n",
        "\\fIfiles\\fR ...\nWhere to\nNeeded.\n"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
}

TEST_F(ManPageTest, TextIsNoRequest) {
  CommandLine line("prog", "1", "prog: works");
  line.root().Add("--name", text_, ".so a \\fB `file`\n'br-eak");

  EXPECT_THAT(ManPage(line.Describe()),
              HasSubstr("\n\\&.so a \\efB \\(gafile\\(ga\n.br\n\\&'br\\-eak\n"));
}

TEST_F(ManPageTest, AProgramWithoutCommandsHasNoListOfThem) {
  CommandLine line("prog", "1", "prog: works");
  line.AddScriptOptions();
  const auto answer = line.Parse(std::vector<std::string>{"--man-page"});

  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->is_fault);
  EXPECT_EQ(answer->text, ManPage(line.Describe()));
  EXPECT_THAT(answer->text, Not(HasSubstr(".SH COMMANDS")));
}

TEST_F(ManPageTest, RoffHasNothingToSayAgainstIt) {
  if (std::system("command -v groff >/dev/null 2>&1") != 0) return;
  CommandLine line("prog", "1", "prog: works\nand .more");
  line.root().Add("--name", text_, "'quoted' \"text\" with \\ and .dots");
  const auto folder = TempFolder::Create();
  const std::string page = (folder->path() / "prog.1").string();
  std::ofstream(page) << ManPage(line.Describe());

  EXPECT_EQ(std::system(("test -z \"$(groff -man -ww -z " + page + " 2>&1)\"").c_str()), 0);
}

}  // namespace
}  // namespace graft::command_line
