#include "client/cli/spec_flags.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../fake_server.h"
#include "common/base/file.h"

namespace graft::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SpecFlagsTest : public testing::Test {
 protected:
  /// The spec that `submit` sends for these flags.
  v1::JobSpec Submit(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"submit", "--base", "tiny", "--adapter", "a"});
    const Outcome outcome = RunCli(server_.address(), flags);
    EXPECT_EQ(outcome.code, kOk) << outcome.err;
    return server_.created.spec();
  }
  std::string Refused(std::vector<std::string> flags) {
    flags.insert(flags.begin(), "submit");
    const Outcome outcome = RunCli(server_.address(), flags);
    EXPECT_EQ(outcome.code, kUsage);
    EXPECT_EQ(server_.calls, 0);
    return outcome.err;
  }
  FakeServer server_;
};

TEST_F(SpecFlagsTest, FieldsOfTheMethodAreSetByName) {
  const v1::JobSpec spec = Submit({"--method", "lora", "--set", "rank=4", "--set", "alpha=2.5",
                                   "--set", "rslora=true", "--set", "target_modules=query,key"});

  EXPECT_EQ(spec.method().lora().rank(), 4);
  EXPECT_EQ(spec.method().lora().alpha(), 2.5);
  EXPECT_TRUE(spec.method().lora().rslora());
  EXPECT_THAT(spec.method().lora().target_modules(), ElementsAre("query", "key"));
}

TEST_F(SpecFlagsTest, EnumsAreSetByName) {
  const v1::JobSpec spec = Submit(
      {"--method", "bottleneck", "--set", "placement=PFEIFFER", "--hp", "lr_schedule=COSINE"});

  EXPECT_EQ(spec.method().bottleneck().placement(), v1::Bottleneck::PFEIFFER);
  EXPECT_EQ(spec.hyperparameters().lr_schedule(), v1::COSINE);
}

TEST_F(SpecFlagsTest, AColumnOfALanguageModelsDataSaysWhatTheTaskIs) {
  EXPECT_FALSE(Submit({"--method", "lora"}).has_task());
  EXPECT_TRUE(Submit({"--method", "lora", "--task", "causal-lm"}).task().has_causal_lm());

  const v1::JobSpec spec =
      Submit({"--method", "lora", "--prompt-column", "q", "--completion-column", "a"});

  EXPECT_TRUE(spec.task().has_causal_lm());
  EXPECT_EQ(spec.dataset().prompt_column(), "q");
  EXPECT_EQ(spec.dataset().completion_column(), "a");
}

TEST_F(SpecFlagsTest, ALanguageModelsFieldsAreSet) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string chat_template = folder->path() / "chat.jinja";
  ASSERT_TRUE(WriteFileDurably(chat_template, "{{ messages[0].content }}").ok());

  const v1::JobSpec spec = Submit(
      {"--method", "lora", "--messages-column", "chat", "--tools-column", "functions", "--loss-on",
       "all", "--chat-template", chat_template, "--template-variable", "enable_thinking=false",
       "--template-variable", "style=short", "--sample", "Once upon", "--sample", "Tell me"});

  EXPECT_EQ(spec.dataset().messages_column(), "chat");
  EXPECT_EQ(spec.dataset().tools_column(), "functions");
  const v1::CausalLanguageModeling& language = spec.task().causal_lm();
  EXPECT_EQ(language.loss_on(), v1::CausalLanguageModeling::ALL);
  EXPECT_EQ(language.chat_template(), "{{ messages[0].content }}");
  const auto& variables = language.chat_template_variables().fields();
  EXPECT_FALSE(variables.at("enable_thinking").bool_value());
  EXPECT_TRUE(variables.at("enable_thinking").has_bool_value());
  EXPECT_EQ(variables.at("style").string_value(), "short");
  EXPECT_THAT(language.samples(), ElementsAre("Once upon", "Tell me"));
}

TEST_F(SpecFlagsTest, FlagsOfTwoTasksAreRefused) {
  EXPECT_THAT(Refused({"--prompt-column", "p", "--label-column", "l"}),
              HasSubstr("--label-column for classifiers"));
  EXPECT_THAT(Refused({"--task", "causal_lm", "--label-name", "a"}), HasSubstr("another task"));
  EXPECT_THAT(Refused({"--task", "sequence_classification", "--loss-on", "all"}),
              HasSubstr("another task"));
  EXPECT_THAT(Refused({"--task", "sequence_classification", "--sample", "a"}),
              HasSubstr("another task"));
  EXPECT_THAT(Refused({"--task", "translation"}), HasSubstr("causal_lm"));
  EXPECT_THAT(Refused({"--loss-on", "some"}), HasSubstr("answers or all"));
  EXPECT_THAT(Refused({"--chat-template", "/nonexistent"}), HasSubstr("can't be read"));
  EXPECT_THAT(Refused({"--chat-template", "/dev/null"}), HasSubstr("has no template; leave"));
  EXPECT_THAT(Refused({"--chat-template", "/tmp"}), HasSubstr("is a folder; give"));
  const auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string latin = folder->path() / "latin.jinja";
  ASSERT_TRUE(WriteFileDurably(latin, "{{ 'caf\xe9' }}").ok());
  EXPECT_THAT(Refused({"--chat-template", latin}), HasSubstr("isn't UTF-8 at byte 7"));
  EXPECT_THAT(Refused({"--template-variable", "=x"}), HasSubstr("NAME=VALUE"));
}

TEST_F(SpecFlagsTest, NamesAreReadInAnyCase) {
  const v1::JobSpec spec = Submit({"--method", "BOTTLENECK", "--set", "Placement=pfeiffer", "--set",
                                   "residual=True", "--schedule", "cosine", "--precision", "bf16"});

  EXPECT_EQ(spec.method().bottleneck().placement(), v1::Bottleneck::PFEIFFER);
  EXPECT_TRUE(spec.method().bottleneck().residual());
  EXPECT_EQ(spec.hyperparameters().lr_schedule(), v1::COSINE);
  EXPECT_EQ(spec.hyperparameters().precision(), v1::BF16);
  EXPECT_TRUE(Submit({"--method", "last-layers"}).method().has_last_layers());
}

TEST_F(SpecFlagsTest, EnumsOfASpecFileAreReadInAnyCase) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() / "job.json";
  ASSERT_TRUE(WriteFileDurably(path, R"({"method": {"bottleneck": {"placement": "houlsby"}},
                                         "hyperparameters": {"lrSchedule": "Constant"}})")
                  .ok());

  const v1::JobSpec spec = Submit({"--spec", path});

  EXPECT_EQ(spec.method().bottleneck().placement(), v1::Bottleneck::HOULSBY);
  EXPECT_EQ(spec.hyperparameters().lr_schedule(), v1::CONSTANT);
}

TEST_F(SpecFlagsTest, AWrongValueIsToldWithAllThereAre) {
  EXPECT_THAT(Refused({"--precision", "fp16"}),
              HasSubstr("precision is \"fp16\"; use one of AUTO, FP32, BF16"));
  EXPECT_THAT(Refused({"--schedule", "step"}), HasSubstr("use one of LINEAR, COSINE, CONSTANT"));
  EXPECT_THAT(Refused({"--method", "bottleneck", "--set", "placement=top"}),
              HasSubstr("use one of HOULSBY, PFEIFFER"));
}

TEST_F(SpecFlagsTest, MethodWithoutFieldsIsStillSent) {
  EXPECT_TRUE(Submit({"--method", "full"}).method().has_full());
}

TEST_F(SpecFlagsTest, HyperparametersHaveShortFlags) {
  const v1::Hyperparameters hp = Submit({"--method", "lora", "--epochs", "2.5", "--batch-size", "8",
                                         "--lr", "1e-3", "--max-length", "64", "--seed", "7",
                                         "--precision", "FP32", "--hp", "warmup_ratio=0.1"})
                                     .hyperparameters();

  EXPECT_EQ(hp.epochs(), 2.5);
  EXPECT_EQ(hp.batch_size(), 8);
  EXPECT_EQ(hp.learning_rate(), 1e-3);
  EXPECT_EQ(hp.max_length(), 64);
  EXPECT_EQ(hp.seed(), 7U);
  EXPECT_EQ(hp.precision(), v1::FP32);
  EXPECT_EQ(hp.warmup_ratio(), 0.1);
  EXPECT_FALSE(hp.has_max_steps());
}

TEST_F(SpecFlagsTest, DatasetFlagsFillTheDataset) {
  const v1::DatasetSpec data =
      Submit({"--train", "file:///d/t.csv", "--validation-fraction", "0.1", "--test",
              "file:///d/e.csv", "--text-column", "q", "--text-column", "a", "--label-column", "y",
              "--format", "tsv", "--no-header", "--max-examples", "10"})
          .dataset();

  EXPECT_EQ(data.train(), "file:///d/t.csv");
  EXPECT_EQ(data.test(), "file:///d/e.csv");
  EXPECT_EQ(data.validation_fraction(), 0.1);
  EXPECT_THAT(data.text_columns(), ElementsAre("q", "a"));
  EXPECT_EQ(data.label_column(), "y");
  EXPECT_EQ(data.format(), "tsv");
  EXPECT_FALSE(data.has_header());
  EXPECT_TRUE(data.has_has_header());
  EXPECT_EQ(data.max_examples(), 10);
}

TEST_F(SpecFlagsTest, RestOfTheSpecIsSet) {
  const v1::JobSpec spec =
      Submit({"--init-from", "a@3", "--priority", "-5", "--label", "team=x", "--label-name", "no",
              "--label-name", "yes", "--description", "d", "--promote"});

  EXPECT_EQ(spec.init_from(), "a@3");
  EXPECT_EQ(spec.priority(), -5);
  EXPECT_EQ(spec.labels().at("team"), "x");
  EXPECT_THAT(spec.task().sequence_classification().label_names(), ElementsAre("no", "yes"));
  EXPECT_EQ(spec.description(), "d");
  EXPECT_TRUE(spec.promote());
}

TEST_F(SpecFlagsTest, PathIsUploadedAndReplaced) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() / "t.csv";
  ASSERT_TRUE(WriteFileDurably(path, "text,label\n").ok());

  const v1::JobSpec spec = Submit({"--train", path});

  EXPECT_EQ(spec.dataset().train(), "graft://datasets/abc");
  EXPECT_EQ(server_.uploaded, "text,label\n");
}

TEST_F(SpecFlagsTest, CheckTakesTheDataFlagsOfAJob) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string train = folder->path() / "t.csv", test = folder->path() / "e.csv";
  for (const std::string& path : {train, test})
    ASSERT_TRUE(WriteFileDurably(path, "text,label\n").ok());

  const Outcome outcome =
      RunCli(server_.address(),
             {"check", train, "--test", test, "--validation-fraction", "0.1", "--text-column", "q",
              "--label-column", "y", "--format", "tsv", "--no-header", "--max-examples", "10"});

  EXPECT_EQ(outcome.code, kOk) << outcome.err;
  const v1::DatasetSpec& data = server_.checked;
  EXPECT_EQ(data.train(), "graft://datasets/abc");
  EXPECT_EQ(data.test(), "graft://datasets/abc");
  EXPECT_EQ(data.validation_fraction(), 0.1);
  EXPECT_THAT(data.text_columns(), ElementsAre("q"));
  EXPECT_EQ(data.label_column(), "y");
  EXPECT_EQ(data.format(), "tsv");
  EXPECT_TRUE(data.has_has_header());
  EXPECT_EQ(data.max_examples(), 10);
}

TEST_F(SpecFlagsTest, CheckTakesFilesOrFractions) {
  EXPECT_EQ(RunCli(server_.address(), {"check", "file:///d/t.csv", "--validation",
                                       "file:///d/v.csv", "--test-fraction", "0.2"})
                .code,
            kOk);

  EXPECT_EQ(server_.checked.validation(), "file:///d/v.csv");
  EXPECT_EQ(server_.checked.test_fraction(), 0.2);
}

TEST_F(SpecFlagsTest, EvaluateTakesHowTheFileIsRead) {
  EXPECT_EQ(RunCli(server_.address(), {"evaluate", "a", "file:///d/t.csv", "--text-column", "q",
                                       "--format", "tsv", "--max-examples", "10"})
                .code,
            kOk);

  EXPECT_EQ(server_.evaluated.train(), "file:///d/t.csv");
  EXPECT_THAT(server_.evaluated.text_columns(), ElementsAre("q"));
  EXPECT_EQ(server_.evaluated.format(), "tsv");
  EXPECT_EQ(server_.evaluated.max_examples(), 10);
}

TEST_F(SpecFlagsTest, FlagsWinOverTheFile) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() / "spec.json";
  ASSERT_TRUE(WriteFileDurably(path, R"({"base": "other", "priority": 3,
      "hyperparameters": {"seed": 1, "batch_size": 4}, "dataset": {"text_columns": ["x"]},
      "task": {"sequence_classification": {"label_names": ["x", "y"]}}})")
                  .ok());

  const v1::JobSpec spec =
      Submit({"--spec", path, "--seed", "9", "--label-name", "no", "--label-name", "yes"});

  EXPECT_EQ(spec.base(), "tiny");
  EXPECT_EQ(spec.priority(), 3);
  EXPECT_EQ(spec.hyperparameters().seed(), 9U);
  EXPECT_EQ(spec.hyperparameters().batch_size(), 4);
  EXPECT_THAT(spec.dataset().text_columns(), ElementsAre("x"));
  EXPECT_THAT(spec.task().sequence_classification().label_names(), ElementsAre("no", "yes"));
}

TEST_F(SpecFlagsTest, FieldsOfTheMethodWinOneByOne) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() / "spec.json";
  ASSERT_TRUE(WriteFileDurably(path, R"({"method": {"lora": {"rank": 4, "dropout": 0.1,
                                      "target_modules": ["query", "key"]}}})")
                  .ok());

  for (const std::vector<std::string>& named : {std::vector<std::string>{}, {"--method", "lora"}}) {
    std::vector<std::string> flags{"--spec", path,     "--set", "target_modules=value",
                                   "--set",  "alpha=3"};
    flags.insert(flags.end(), named.begin(), named.end());
    const auto lora = Submit(flags).method().lora();
    EXPECT_EQ(lora.rank(), 4);
    EXPECT_EQ(lora.alpha(), 3);
    EXPECT_DOUBLE_EQ(lora.dropout(), 0.1);
    EXPECT_THAT(lora.target_modules(), ElementsAre("value"));
  }
  EXPECT_FALSE(Submit({"--seed", "1"}).has_method()) << "nothing is said of it";
  const v1::Method other = Submit({"--spec", path, "--method", "bottleneck"}).method();
  EXPECT_TRUE(other.has_bottleneck());
}

TEST_F(SpecFlagsTest, WrongNamesAndValuesAreUsageAndNameWhatThereIs) {
  EXPECT_THAT(Refused({"--method", "qlora"}), HasSubstr("lora, bottleneck, last_layers, full"));
  EXPECT_THAT(Refused({"--method", "lora", "--set", "size=4"}), HasSubstr("rank, alpha"));
  EXPECT_THAT(Refused({"--method", "lora", "--set", "rank"}), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(Refused({"--method", "lora", "--set", "rank=many"}), HasSubstr("many"));
  EXPECT_THAT(Refused({"--method", "lora", "--set", "rslora=perhaps"}), HasSubstr("true or false"));
  EXPECT_THAT(Refused({"--method", "bottleneck", "--set", "placement=ABOVE"}), HasSubstr("ABOVE"));
  EXPECT_THAT(Refused({"--set", "rank=4"}), HasSubstr("--method"));
  EXPECT_THAT(Refused({"--epochs", "soon"}), HasSubstr("soon"));
  EXPECT_THAT(Refused({"--hp", "momentum=1"}), HasSubstr("learning_rate"));
  EXPECT_THAT(Refused({"--precision", "fp64"}),
              HasSubstr("hyperparameters: precision is \"fp64\"; use one of AUTO, FP32, BF16"));
  EXPECT_THAT(Refused({"--label", "te\nam"}), HasSubstr("--label te\\nam: use KEY=VALUE"));
  EXPECT_THAT(Refused({"--spec", "/nonexistent.json"}), HasSubstr("can't be read"));
}

TEST_F(SpecFlagsTest, NumbersThatCannotBeAreLeftForTheServerToRefuse) {
  const v1::JobSpec spec = Submit({"--train", "file:///d/t.csv", "--test-fraction", "-0.1",
                                   "--validation-fraction", "nan", "--max-examples", "-1"});

  EXPECT_EQ(spec.dataset().test_fraction(), -0.1);
  EXPECT_TRUE(std::isnan(spec.dataset().validation_fraction()));
  EXPECT_EQ(spec.dataset().max_examples(), -1);
}

TEST_F(SpecFlagsTest, NothingIsSaidTwice) {
  EXPECT_THAT(Refused({"--epochs", "2", "--hp", "epochs=3"}), HasSubstr("epochs is given twice"));
  EXPECT_THAT(Refused({"--method", "lora", "--set", "rank=2", "--set", "rank=4"}),
              HasSubstr("rank is given twice"));
  EXPECT_THAT(Refused({"--method", "lora", "--set", "rank_pattern=query:4,query:5"}),
              HasSubstr("\"query\" is given twice"));
  EXPECT_THAT(Refused({"--label", "k=1", "--label", "k=2"}), HasSubstr("\"k\" is given twice"));
}

TEST_F(SpecFlagsTest, ListsMayComeInParts) {
  const v1::JobSpec spec =
      Submit({"--method", "lora", "--set", "target_modules=query", "--set", "target_modules=value",
              "--set", "rank_pattern=query:2", "--set", "rank_pattern=value:4"});

  EXPECT_THAT(spec.method().lora().target_modules(), ElementsAre("query", "value"));
  EXPECT_EQ(spec.method().lora().rank_pattern_size(), 2);
}

TEST_F(SpecFlagsTest, APriorityOfZeroWinsOverTheFiles) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string file = folder->path() / "spec.json";
  ASSERT_TRUE(WriteFileDurably(file, R"({"priority": 5})").ok());

  EXPECT_EQ(Submit({"--spec", file}).priority(), 5);
  EXPECT_EQ(Submit({"--spec", file, "--priority", "0"}).priority(), 0);
}

TEST_F(SpecFlagsTest, AMethodWithoutFieldsSaysSo) {
  EXPECT_THAT(Refused({"--method", "full", "--set", "rank=2"}), HasSubstr("has no fields"));
}

}  // namespace
}  // namespace graft::cli
