#include "client/cli/commands/commands.h"

#include <filesystem>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../fake_server.h"
#include "client/cli/context.h"
#include "common/base/file.h"
#include "common/base/json.h"

namespace graft::cli {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

/// Each command once: its words, and how many messages --json prints.
struct Case {
  std::vector<std::string> words;
  size_t num_messages;
};

class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempFolder::Create();
    ASSERT_TRUE(folder.ok());
    folder_.emplace(std::move(*folder));
    file_ = folder_->path() / "in" / "train.csv";
    std::filesystem::create_directories(folder_->path() / "in");
    ASSERT_TRUE(WriteFileDurably(file_, "text,label\n").ok());
    server_.watches = {
        {ProgressEvent(1, 1, 2), StateEvent(2, v1::RUNNING, v1::SUCCEEDED, "COMPLETED")}};
  }
  std::vector<Case> Cases() const {
    const std::string in = folder_->path() / "in", out = folder_->path() / "out";
    return {{{"submit", "--base", "b"}, 1},
            {{"estimate", "--base", "b"}, 1},
            {{"jobs"}, 2},
            {{"job", "j1"}, 1},
            {{"cancel", "j1"}, 1},
            {{"pause", "j1"}, 1},
            {{"resume", "j1"}, 1},
            {{"delete", "j1"}, 1},
            {{"watch", "j1"}, 2},
            {{"adapters"}, 1},
            {{"adapter", "support"}, 3},
            {{"promote", "support", "2"}, 1},
            {{"rollback", "support"}, 1},
            {{"evaluate", "support", file_}, 1},
            {{"export", "support", out}, 1},
            {{"import", in, "--base", "b", "--adapter", "a"}, 1},
            {{"classify", "--adapter", "a", "one", "two"}, 1},
            {{"embed", "--base", "b", "one"}, 1},
            {{"generate", "--adapter", "a", "or not "}, 2},
            {{"chat", "--adapter", "a"}, 0},  // Nothing is typed.
            {{"score", "--adapter", "a", "one"}, 1},
            {{"bases"}, 2},
            {{"upload", file_}, 1},
            {{"datasets"}, 2},
            {{"dataset", "abc"}, 1},
            {{"check", file_}, 1}};
  }
  Outcome Run(const std::vector<std::string>& arguments) {
    return RunCli(server_.address(), arguments);
  }

  FakeServer server_;
  std::optional<TempFolder> folder_;
  std::string file_;
};

TEST_F(CommandTest, JsonPrintsEachMessageOnALine) {
  for (const Case& c : Cases()) {
    std::vector<std::string> words = c.words;
    words.emplace_back("--json");

    const Outcome outcome = Run(words);

    EXPECT_EQ(outcome.code, kOk) << c.words[0] << ": " << outcome.err;
    EXPECT_EQ(outcome.err, "") << c.words[0];
    EXPECT_THAT(outcome.Lines(), SizeIs(c.num_messages)) << c.words[0] << ": " << outcome.out;
    for (const std::string& line : outcome.Lines()) {
      const auto json = ParseJson(line, "line");
      EXPECT_TRUE(json.ok() && json->is_object()) << c.words[0] << ": " << line;
    }
  }
}

TEST_F(CommandTest, PeopleGetNoJson) {
  for (const Case& c : Cases()) {
    const Outcome outcome = Run(c.words);

    EXPECT_EQ(outcome.code, kOk) << c.words[0] << ": " << outcome.err;
    EXPECT_THAT(outcome.Lines(), Each(Not(testing::StartsWith("{")))) << c.words[0];
  }
}

TEST_F(CommandTest, SubmitCanBeRepeatedUnderOneId) {
  for (const char* id : {"mine", "mine", ""}) Run({"submit", "--base", "b", "--request-id", id});

  ASSERT_THAT(server_.request_ids, SizeIs(3));
  EXPECT_EQ(server_.request_ids[0], "mine");
  EXPECT_EQ(server_.request_ids[1], "mine");
  EXPECT_THAT(server_.request_ids[2], Not(testing::AnyOf("", "mine")));
}

TEST_F(CommandTest, EachCommandHasHelpAndAllAreListed) {
  const std::string all = Run({"--help"}).out;
  for (const Case& c : Cases()) {
    const Outcome outcome = Run({c.words[0], "--help"});

    EXPECT_EQ(outcome.code, kOk) << c.words[0];
    EXPECT_THAT(outcome.out, HasSubstr("Usage: graft " + c.words[0])) << c.words[0];
    EXPECT_THAT(all, HasSubstr("  " + c.words[0] + " ")) << c.words[0];
  }
  EXPECT_EQ(server_.calls, 0);
}

TEST_F(CommandTest, NoCommandIsMissingFromThisTable) {
  command_line::CommandLine line("graft", "0", "");
  Action run;
  AddJobCommands(line.root(), run);
  AddAdapterCommands(line.root(), run);
  AddArtifactCommands(line.root(), run);
  AddInferenceCommands(line.root(), run);
  AddTextCommands(line.root(), run);
  AddDataCommands(line.root(), run);
  std::vector<std::string> tested;
  for (const Case& c : Cases()) tested.push_back(c.words[0]);

  EXPECT_THAT(tested, testing::UnorderedElementsAreArray(line.root().CommandNames()));
}

TEST_F(CommandTest, JobsFollowsThePages) {
  const Outcome outcome = Run({"jobs"});

  EXPECT_THAT(server_.job_pages, ElementsAre("", "page 2"));
  EXPECT_THAT(outcome.Lines(), SizeIs(3));  // The header and one job a page.
}

TEST_F(CommandTest, JobsSaysThatThereAreMore) {
  EXPECT_THAT(Run({"jobs", "--limit", "1"}).out, HasSubstr("(1 of 2; --limit shows more)"));
}

TEST_F(CommandTest, AdapterFollowsThePages) {
  const Outcome outcome = Run({"adapter", "support"});

  EXPECT_THAT(server_.version_pages, ElementsAre("", "page 2"));
  EXPECT_THAT(outcome.Lines(), SizeIs(4));  // Itself, the header and one version a page.
}

/// A validation behind each of two steps, the first the better one.
void AddEvaluations(v1::AdapterVersion& version) {
  for (const auto& [step, accuracy] : {std::pair(10, 0.9), std::pair(20, 0.5)}) {
    auto& evaluation = *version.add_evaluations();
    evaluation.set_split("validation");
    evaluation.set_step(step);
    evaluation.set_accuracy(accuracy);
  }
}

TEST_F(CommandTest, AdapterShowsTheFiguresOfTheStateThatWasKept) {
  AddEvaluations(server_.version);
  server_.version.set_kept_step(20);
  const std::string last = Run({"adapter", "support"}).out;
  server_.version.set_kept_step(10);
  const std::string best = Run({"adapter", "support"}).out;

  EXPECT_THAT(last, HasSubstr("0.5000 @ step 20"));
  EXPECT_THAT(last, Not(HasSubstr("0.9000")));
  EXPECT_THAT(best, HasSubstr("0.9000 @ step 10"));
  EXPECT_THAT(best, Not(HasSubstr("0.5000")));
}

TEST_F(CommandTest, AdapterShowsNoFigureThatIsAnothers) {
  AddEvaluations(server_.version);
  const std::string unknown = Run({"adapter", "support"}).out;
  auto& test = *server_.version.add_evaluations();
  test.set_split("test");
  test.set_step(20);
  test.set_accuracy(0.25);
  const std::string tested = Run({"adapter", "support"}).out;

  EXPECT_THAT(unknown, Not(HasSubstr("@ step"))) << "nobody knows which step was kept";
  EXPECT_THAT(tested, HasSubstr("accuracy 0.5000 @ step 20  accuracy 0.2500 @ step 20"))
      << "a test is always of the kept state";
}

TEST_F(CommandTest, KeptCheckpointsAreShownWithTheirJobAndTheirAdapter) {
  server_.version.set_job("jobs/j1");
  server_.version.set_checkpoint_step(20);
  EXPECT_THAT(Run({"job", "j1"}).out, Not(HasSubstr("kept")));
  EXPECT_THAT(server_.version_pages, testing::IsEmpty()) << "a job that keeps none isn't asked for";
  server_.job.mutable_spec()->mutable_hyperparameters()->set_keep_checkpoints(2);

  const std::string job = Run({"job", "j1"}).out;

  EXPECT_THAT(job, HasSubstr("  kept         adapters/support/versions/2 of step 20\n"));
  EXPECT_THAT(server_.version_filters, ElementsAre("job=jobs/j1", "job=jobs/j1"));
  EXPECT_THAT(Run({"adapter", "support"}).out, HasSubstr("jobs/j1, kept at step 20"));
  server_.version.set_checkpoint_step(0);
  EXPECT_THAT(Run({"job", "j1"}).out, Not(HasSubstr("kept"))) << "that is its result";
}

TEST_F(CommandTest, WarningsAreShownWhereAJobIsChecked) {
  server_.job.add_warnings("warmup_steps has no effect");

  EXPECT_THAT(Run({"submit", "--base", "b", "--check-only"}).out,
              HasSubstr("warning      warmup_steps has no effect"));
  EXPECT_THAT(Run({"job", "j1"}).out, HasSubstr("warning      warmup_steps has no effect"));
}

TEST_F(CommandTest, FailedJobShowsItsFaults) {
  server_.job.set_state(v1::FAILED);
  *server_.job.mutable_error() = DataFault();

  EXPECT_THAT(Run({"job", "j1"}).out,
              HasSubstr("  error        the data is bad\n"
                        "               dataset.train line 7, column text: no text (EMPTY_TEXT)\n"
                        "               and 3 more\n"));
}

TEST_F(CommandTest, JobShowsWhyItsAttemptsEnded) {
  auto& first = *server_.job.add_attempts();
  first.set_number(1);
  first.set_end_reason("LEASE_EXPIRED");
  first.set_last_step(12);

  EXPECT_THAT(Run({"job", "j1"}).out, HasSubstr("  attempt 1    LEASE_EXPIRED, steps 0 to 12\n"));

  auto& second = *server_.job.add_attempts();
  second.set_number(2);
  second.set_first_step(12);
  second.set_last_step(15);

  EXPECT_THAT(Run({"job", "j1"}).out, HasSubstr("  attempt 2    running, steps 12 to 15\n"));

  server_.job.mutable_attempts(1)->set_last_step(0);
  EXPECT_THAT(Run({"job", "j1"}).out, HasSubstr("  attempt 2    running, steps 12 to ...\n"));
}

TEST_F(CommandTest, OnlyAttemptThatDidAllIsNoNews) {
  server_.job.add_attempts()->set_end_reason("COMPLETED");

  EXPECT_THAT(Run({"job", "j1"}).out, Not(HasSubstr("attempt")));
}

TEST_F(CommandTest, CheckSaysWhereTheFaultsAre) {
  server_.usable = false;
  server_.faults = DataFault();

  EXPECT_THAT(Run({"check", "file:///d/t.csv"}).out,
              HasSubstr("\n  dataset.train line 7, column text: no text (EMPTY_TEXT)\n"
                        "  and 3 more\n"));
}

TEST_F(CommandTest, ImportSendsWhatTheFlagsSay) {
  EXPECT_EQ(Run({"import", folder_->path() / "in", "--base", "b", "--adapter", "a", "--description",
                 "by hand", "--label-name", "no", "--label-name", "yes", "--promote"})
                .code,
            kOk);

  const auto& header = server_.import_headers.at(0);
  EXPECT_EQ(header.base(), "b");
  EXPECT_EQ(header.adapter(), "a");
  EXPECT_EQ(header.description(), "by hand");
  EXPECT_THAT(header.label_names(), ElementsAre("no", "yes"));
  EXPECT_TRUE(header.promote());
}

TEST_F(CommandTest, ClassifyShowsTheMostProbableLabelFirst) {
  EXPECT_EQ(Run({"classify", "--adapter", "a", "--top", "2", "some text"}).out,
            "good 0.7500  bad 0.2500  some text\n");
}

TEST_F(CommandTest, ATextInBracketsIsOneText) {
  const Outcome outcome = Run({"classify", "--adapter", "a", "[good film, bad film]", "[UNK]"});

  EXPECT_THAT(server_.batches, testing::ElementsAre(2));
  EXPECT_THAT(outcome.Lines(),
              testing::ElementsAre(HasSubstr("[good film, bad film]"), HasSubstr("[UNK]")));
}

TEST_F(CommandTest, WhatATextHoldsDoesNotReachTheTerminal) {
  const Outcome outcome = Run({"classify", "--adapter", "a", "one\ntwo\x1b[31m", "\u202ethree"});

  EXPECT_THAT(outcome.Lines(),
              testing::ElementsAre(HasSubstr("one\\ntwo\\u001b[31m"), HasSubstr("\\u202ethree")));
}

TEST_F(CommandTest, ManyTextsGoAsSeveralRequests) {
  std::vector<std::string> words = {"classify", "--adapter", "a"};
  words.insert(words.end(), 300, "text");

  EXPECT_EQ(Run(words).code, kOk);

  EXPECT_THAT(server_.batches, ElementsAre(256, 44));
}

TEST_F(CommandTest, LongTextsGoAsSmallerRequests) {
  EXPECT_EQ(Run({"classify", "--adapter", "a", std::string(700'000, 'x'), std::string(700'000, 'x'),
                 "short"})
                .code,
            kOk);

  EXPECT_THAT(server_.batches, ElementsAre(1, 2));
}

TEST_F(CommandTest, LongLinesGoFewAtATimeAndNoneIsLost) {
  std::vector<std::string> words = {"classify", "--adapter", "a"};
  words.insert(words.end(), 40, std::string(3000, 'x'));

  const Outcome outcome = Run(words);

  EXPECT_EQ(outcome.code, kOk);
  EXPECT_EQ(server_.batches.at(0), 5);
  EXPECT_EQ(std::accumulate(server_.batches.begin(), server_.batches.end(), 0), 40);
  EXPECT_THAT(outcome.Lines(), SizeIs(40));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(CommandTest, SeveralRequestsShowOnATerminalHowFarTheyAre) {
  for (const char* command : {"classify", "embed"}) {
    std::vector<std::string> words = {command, "--adapter", "a"};
    words.insert(words.end(), 300, "short");

    const Outcome seen = RunCli(server_.address(), words, /*terminal=*/true);
    const Outcome piped = RunCli(server_.address(), words, /*terminal=*/false);
    words.emplace_back("--json");
    const Outcome json = RunCli(server_.address(), words, /*terminal=*/true);
    words.resize(6);
    const Outcome one = RunCli(server_.address(), words, /*terminal=*/true);

    EXPECT_THAT(seen.err, testing::StartsWith("\r\033[K[                        ] 0/300 texts\r"));
    EXPECT_THAT(seen.err, HasSubstr("\r\033[K[====================    ] 256/300 texts  "));
    EXPECT_THAT(seen.err, testing::EndsWith(" left\r\033[K"));
    EXPECT_THAT(seen.out, Not(HasSubstr("\r")));
    EXPECT_EQ(piped.out, seen.out);
    EXPECT_EQ(piped.err, "");
    EXPECT_EQ(json.err, "");
    EXPECT_EQ(one.err, "") << "one request is soon answered";
  }
}

TEST_F(CommandTest, ARequestThatIsNotAnsweredInTimeIsCut) {
  server_.hang_above = 10;
  std::vector<std::string> words = {"--timeout", "1", "classify", "--adapter", "a"};
  words.insert(words.end(), 40, std::string(3000, 'x'));

  const Outcome outcome = RunCli(server_.address(), words, /*terminal=*/true);

  EXPECT_EQ(outcome.code, kOk) << outcome.err;
  EXPECT_THAT(outcome.Lines(), SizeIs(40));
  EXPECT_THAT(server_.batches, Contains(testing::Gt(10)));
  EXPECT_THAT(outcome.err, Not(HasSubstr("deadline")));
}

TEST_F(CommandTest, ARequestThatIsNeverAnsweredSaysHowLongItWaited) {
  server_.hang_after = 1;
  std::vector<std::string> words = {"--timeout", "1", "classify", "--adapter", "a"};
  words.insert(words.end(), 40, std::string(3000, 'x'));

  const Outcome outcome = Run(words);

  EXPECT_EQ(outcome.code, kUnreachable);
  EXPECT_THAT(outcome.err, HasSubstr("within 1 s"));
  EXPECT_THAT(outcome.Lines(), SizeIs(server_.batches.front())) << "what was answered is printed";
}

TEST_F(CommandTest, UnusableBaseSaysWhy) {
  EXPECT_THAT(Run({"bases"}).out, HasSubstr("broken  unusable: it was cut"));
}

TEST_F(CommandTest, DatasetsAreListedByShortNameOverAllPages) {
  const Outcome outcome = Run({"datasets"});

  EXPECT_THAT(outcome.Lines(), ElementsAre("DATASET  FILE       SIZE   CREATED",
                                           "abc      train.csv  120 B  just now",
                                           "abc      train.csv  120 B  just now"));
  EXPECT_THAT(server_.dataset_pages, ElementsAre("", "page 2"));
}

TEST_F(CommandTest, ADatasetIsNamedByItsHashOrItsUri) {
  for (const char* name :
       {"abc", "datasets/abc", "graft://datasets/abc", "graft://datasets/abc/train.csv"}) {
    const Outcome outcome = Run({"dataset", name});

    EXPECT_EQ(outcome.out,
              "datasets/abc: train.csv, 120 B, just now\n  graft://datasets/abc/train.csv\n");
    EXPECT_EQ(server_.shown_dataset, "datasets/abc") << name;
  }
}

TEST_F(CommandTest, PromoteNamesTheAlias) {
  EXPECT_EQ(Run({"promote", "support", "3", "--alias", "canary"}).code, kOk);

  EXPECT_EQ(server_.promoted.adapter(), "adapters/support");
  EXPECT_EQ(server_.promoted.version(), "3");
  EXPECT_EQ(server_.promoted.alias(), "canary");
}

TEST_F(CommandTest, ExportedNameStaysInTheFolder) {
  for (const char* name :
       {"../escape.json", "/tmp/escape.json", "..", "", "more/escape.json",
        "additional_chat_templates/../../escape.json", "additional_chat_templates/escape.json"}) {
    server_.export_name = name;

    const Outcome outcome = Run({"export", "support", folder_->path() / "out"});

    EXPECT_EQ(outcome.code, kRefused) << name;
    EXPECT_FALSE(std::filesystem::exists(folder_->path() / "escape.json"));
  }
}

TEST_F(CommandTest, AnExportHasFurtherChatTemplatesInTheirFolder) {
  server_.export_name = "additional_chat_templates/tool_use.jinja";

  EXPECT_EQ(Run({"export", "support", folder_->path() / "out"}).code, kOk);

  EXPECT_EQ(*ReadFile(folder_->path() / "out" / "additional_chat_templates" / "tool_use.jinja"),
            "{\"a\": 1}");
}

TEST_F(CommandTest, AnExportThatBreaksOffLeavesNoFile) {
  server_.failure = InternalError("the disk broke");
  server_.fail_first = 1'000;

  EXPECT_NE(Run({"export", "support", folder_->path() / "out"}).code, kOk);

  EXPECT_FALSE(std::filesystem::exists(folder_->path() / "out"));
}

TEST_F(CommandTest, ExportIntoAFullFolderNeedsForce) {
  const std::string in = folder_->path() / "in";

  EXPECT_EQ(Run({"export", "support", in}).code, kUsage);
  EXPECT_EQ(Run({"export", "support", in, "--force"}).code, kOk);

  EXPECT_TRUE(std::filesystem::exists(folder_->path() / "in" / "adapter_config.json"));
}

TEST_F(CommandTest, TokenComesFromTheFlag) {
  EXPECT_EQ(Run({"jobs", "--token", "secret"}).code, kOk);

  EXPECT_EQ(server_.token, "Bearer secret");
}

TEST_F(CommandTest, ACallIsInTheTraceThatTheFlagNames) {
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  EXPECT_EQ(Run({"jobs", "--traceparent", parent}).code, kOk);
  EXPECT_EQ(server_.traceparent, parent);

  EXPECT_EQ(Run({"jobs"}).code, kOk);
  EXPECT_EQ(server_.traceparent, "");

  const Outcome refused = Run({"jobs", "--traceparent", "00-x"});
  EXPECT_EQ(refused.code, kUsage);
  EXPECT_THAT(refused.err, HasSubstr("--traceparent: \"00-x\" is no traceparent"));
}

}  // namespace
}  // namespace graft::cli
