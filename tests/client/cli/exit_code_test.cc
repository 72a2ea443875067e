#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../fake_server.h"
#include "client/cli/context.h"
#include "common/base/file.h"
#include "common/base/json.h"

namespace graft::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ExitCodeTest : public testing::Test {
 protected:
  Outcome Run(const std::vector<std::string>& arguments) {
    return RunCli(server_.address(), arguments);
  }
  FakeServer server_;
};

TEST_F(ExitCodeTest, AnswerIsZero) {
  const Outcome outcome = Run({"job", "j1"});

  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("jobs/j1  QUEUED"));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(ExitCodeTest, FailedJobIsOne) {
  server_.watches = {{StateEvent(1, v1::RUNNING, v1::FAILED, "ERROR")}};

  EXPECT_EQ(Run({"watch", "j1"}).code, 1);
}

TEST_F(ExitCodeTest, CancelledJobIsOne) {
  server_.watches = {{StateEvent(1, v1::RUNNING, v1::CANCELLED, "CANCELLED_BY_USER")}};

  EXPECT_EQ(Run({"watch", "j1"}).code, 1);
}

TEST_F(ExitCodeTest, DataWithFaultsIsOne) {
  server_.usable = false;

  EXPECT_EQ(Run({"check", "file:///d/t.csv"}).code, 1);
}

TEST_F(ExitCodeTest, WhatCannotBeMeantIsTwoAndAsksNoServer) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"fly"},
           {"completions"},
           {"completions", "tcsh"},
           {"job"},
           {"jobs", "--limit", "many"},
           {"classify", "--adapter", "a"},
           {"classify", "--adapter", "a", "--top", "0", "one"},
           {"classify", "--adapter", "a", "--top", "-1", "one"},
           {"classify", "--adapter", "a", "--pair", "one"},
           {"classify", "--adapter", "a", "\xff"},
           {"upload", "/nonexistent.csv"},
           {"import", "/nonexistent", "--base", "b", "--adapter", "a"},
           {"export", "a", "/"},
           {"submit", "--method", "none"},
           {"--server", "nonsense", "jobs"},
           {"--timeout", "0", "jobs"},
           {"--timeout", "-1", "jobs"},
           {"--timeout", "nan", "jobs"},
           {"--timeout", "1e30", "jobs"},
           {"--timeout", "soon", "jobs"}}) {
    const Outcome outcome = Run(arguments);

    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments) << outcome.out;
    EXPECT_FALSE(outcome.err.empty()) << testing::PrintToString(arguments);
    EXPECT_TRUE(outcome.out.empty()) << testing::PrintToString(arguments) << outcome.out;
  }
  EXPECT_EQ(server_.calls, 0);
}

TEST_F(ExitCodeTest, AbsentServerIsThree) {
  server_.Stop();

  const Outcome outcome = Run({"--timeout", "1", "jobs"});

  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("is graft-server running?"));
}

TEST_F(ExitCodeTest, SilentServerIsThree) {
  server_.hang = true;

  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string file = folder->path() / "t.csv";
  ASSERT_TRUE(WriteFileDurably(file, "text,label\n").ok());
  for (std::vector<std::string> words : std::vector<std::vector<std::string>>{
           {"jobs"},
           {"check", "file:///d/t.csv"},
           {"check", file},  // The upload.
           {"estimate", "--base", "b"},
           {"submit", "--base", "b", "--check-only"},
           {"evaluate", "a", "file:///d/t.csv"},
           {"promote", "a", "2"},
           {"rollback", "a"},
           {"upload", file},
           {"import", folder->path(), "--base", "b", "--adapter", "a"},
           {"export", "a", folder->path() / "out"},
           {"generate", "--adapter", "a", "text"}}) {
    words.insert(words.end(), {"--timeout", "0.2"});

    EXPECT_EQ(Run(words).code, 3) << words[0];
  }
}

TEST_F(ExitCodeTest, HelpSaysHowLongCallsMayTake) {
  const std::string help = Run({"--help"}).out;

  for (const char* part : {"default: 30;", "promote and rollback 300", "evaluate 1800",
                           "upload, import, export, generate and chat 1800"}) {
    std::string plain;  // The help breaks its lines.
    std::istringstream words(help);
    for (std::string word; words >> word;) plain += word + " ";
    EXPECT_THAT(plain, HasSubstr(part));
  }
}

TEST_F(ExitCodeTest, RefusalIsFourWithItsDetails) {
  server_.fail_first = 1;
  server_.failure = InvalidArgumentError("the data is bad")
                        .AddDetail({"BAD_LINE", "dataset.train", 3, "text", "no text"});

  const Outcome outcome = Run({"submit", "--base", "b"});

  EXPECT_EQ(outcome.code, 4);
  EXPECT_EQ(outcome.err,
            "graft: the data is bad\n  dataset.train line 3, column text: no text (BAD_LINE)\n");
}

TEST_F(ExitCodeTest, RefusalUnderJsonIsOneLineWithCodeAndDetails) {
  server_.fail_first = 1;
  server_.failure = InvalidArgumentError("the data is bad")
                        .AddDetail({"BAD_LINE", "dataset.train", 3, "text", "no text"});

  const Outcome outcome = Run({"--json", "submit", "--base", "b"});

  EXPECT_EQ(outcome.code, 4);
  EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  const auto json = ParseJson(outcome.err, "error");
  ASSERT_TRUE(json.ok()) << outcome.err;
  EXPECT_EQ(*json, (Json{{"error",
                          {{"code", 3},
                           {"status", "INVALID_ARGUMENT"},
                           {"message", "the data is bad"},
                           {"details",
                            {{{"reason", "BAD_LINE"},
                              {"field", "dataset.train"},
                              {"line", "3"},
                              {"column", "text"},
                              {"message", "no text"}}}}}}}));
}

TEST_F(ExitCodeTest, UsageUnderJsonIsOneLineToo) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--json"},
                                             {"--json", "fly"},
                                             {"fly\xff", "--json"},
                                             {"job", "--json"},
                                             {"jobs", "--limit", "many", "--json"},
                                             {"--json", "--timeout", "0", "jobs"}}) {
    const Outcome outcome = Run(arguments);

    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments);
    EXPECT_TRUE(outcome.out.empty()) << outcome.out;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    const auto json = ParseJson(outcome.err, "error");
    ASSERT_TRUE(json.ok()) << outcome.err;
    EXPECT_EQ((*json)["error"]["status"], "INVALID_ARGUMENT");
  }
}

TEST_F(ExitCodeTest, TextThatReadsLikeTheFlagIsNone) {
  const Outcome outcome = Run({"job", "--", "j1", "--json"});

  EXPECT_EQ(outcome.code, 2);
  EXPECT_FALSE(ParseJson(outcome.err, "error").ok()) << outcome.err;
}

TEST_F(ExitCodeTest, AnAnswerThatCannotBeWrittenIsFive) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"job", "j1"}, {"classify", "--adapter", "a", "one"}, {"jobs", "--json"}, {"--help"}}) {
    std::ostringstream err;
    std::ofstream full("/dev/full");

    const int code = cli::Run(arguments, {server_.address(), "", false, false}, full, err);

    EXPECT_EQ(code, 5) << arguments.front();
    EXPECT_THAT(err.str(), HasSubstr("not all of the answer could be written"));
  }
}

TEST_F(ExitCodeTest, HelpAndVersionAreZero) {
  for (const char* flag : {"--help", "--version"}) {
    const Outcome outcome = Run({flag, "--json"});

    EXPECT_EQ(outcome.code, 0) << flag;
    EXPECT_FALSE(outcome.out.empty()) << flag;
    EXPECT_EQ(outcome.err, "") << flag;
  }
}

TEST_F(ExitCodeTest, ScriptsAreThereWhateverTheServersAddressIs) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"completions", "bash"}, {"man"}}) {
    const Outcome outcome = RunCli("no address", arguments);

    EXPECT_EQ(outcome.code, 0) << arguments.front();
    EXPECT_THAT(outcome.out, HasSubstr("submit")) << arguments.front();
    EXPECT_EQ(outcome.err, "") << arguments.front();
  }
  EXPECT_EQ(server_.calls, 0);
}

}  // namespace
}  // namespace graft::cli
