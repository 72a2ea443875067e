#include "server/intake/language_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/tokenizers/tokenizer.h"

namespace graft::server::intake {
namespace {

using datasets::Example;
using datasets::Shape;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kTemplate =
    "{% for m in messages %}{{ m.content }}<e>{% endfor %}{% if add_generation_prompt %}{% endif "
    "%}";

/// A base whose tokenizer has a token for each of a few letters, and <e> at the end.
Base LettersBase(const std::string& config = R"({"eos_token":"<e>"})") {
  tokenizers::TokenizerFiles files;
  Json vocabulary = {{"<e>", 0}};
  for (const char* letter : {"a", "b", "c", "d"}) vocabulary[letter] = vocabulary.size();
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  files["tokenizer.json"] =
      Json{{"version", "1.0"},
           {"added_tokens",
            {{{"id", 0},
              {"content", "<e>"},
              {"single_word", false},
              {"lstrip", false},
              {"rstrip", false},
              {"special", true},
              {"normalized", false}}}},
           {"normalizer", nullptr},
           {"pre_tokenizer", byte_level},
           {"post_processor", nullptr},
           {"decoder", byte_level},
           {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}}
          .dump();
  Json settings = Json::parse(config);
  settings["tokenizer_class"] = "PreTrainedTokenizerFast";
  files["tokenizer_config.json"] = settings.dump();
  Base base;
  base.id = "letters";
  auto tokenizer = tokenizers::LoadTokenizer(files);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  base.tokenizer = *tokenizer;
  base.chat.templates["default"] = kTemplate;
  base.layout.max_positions = 20;
  return base;
}

Example At(int64_t line, const std::string& text, const std::string& pair = "") {
  Example example{text, pair};
  example.line = line;
  return example;
}

std::string Chat(const std::string& ask, const std::string& answer, int weight = 1) {
  return R"([{"role":"user","content":")" + ask + R"("},{"role":"assistant","content":")" + answer +
         R"(","weight":)" + std::to_string(weight) + "}]";
}

struct Outcome {
  TokenCounts counts;
  datasets::Report report;
};

Outcome Count(const datasets::IngestedDataset& dataset, const LanguageSetup& setup,
              const Base& base = LettersBase()) {
  Outcome outcome;
  auto counts = CountLanguage(
      dataset, setup, base, [] { return OkStatus(); }, outcome.report);
  EXPECT_TRUE(counts.ok()) << counts.status();
  if (counts.ok()) outcome.counts = *std::move(counts);
  return outcome;
}

LanguageSetup SetupOf(int max_length, const std::string& chat_template = "") {
  LanguageSetup setup;
  setup.max_length = max_length;
  setup.training.chat_template = chat_template;
  return setup;
}

TEST(LanguageCountsTest, TextsAreCountedAsTheyAreSplit) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kText;
  dataset.train = {At(1, "abc"), At(2, "abcdabcd")};
  dataset.validation = {At(1, "ab")};

  const Outcome outcome = Count(dataset, SetupOf(4));

  EXPECT_THAT(outcome.counts.train, ElementsAre(4, 4, 4))
      << "with <e> behind each, the last of which is only told";
  EXPECT_EQ(outcome.counts.validation, 3);
  EXPECT_EQ(outcome.counts.loss_tokens, 3 + 8);
  EXPECT_EQ(outcome.counts.truncated_examples, 1);
  EXPECT_THAT(outcome.report.warnings,
              ElementsAre(HasSubstr("1 of 2 train examples has more than 4 tokens (max_length) "
                                    "(line 2): split")));
}

TEST(LanguageCountsTest, WhatAllTrainExamplesBeginWithIsCounted) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kCompletion;
  dataset.train = {At(1, "abcd", "a"), At(2, "abca", "a"), At(3, "abcdd", "b")};
  dataset.validation = {At(1, "d", "b")};

  EXPECT_EQ(Count(dataset, SetupOf(50)).counts.common, 3);
  dataset.train.push_back(At(4, "ab", "b"));
  EXPECT_EQ(Count(dataset, SetupOf(50)).counts.common, 1) << "what is behind its b is read";
}

TEST(LanguageCountsTest, WhatIsCutAndLeftOutIsToldWithItsLines) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kCompletion;
  for (int line = 2; line < 14; ++line) dataset.train.push_back(At(line, "aaaa", "b"));
  dataset.train.push_back(At(20, "a", "bcdab"));

  const Outcome outcome = Count(dataset, SetupOf(4));

  EXPECT_THAT(outcome.counts.train, ElementsAre(4));
  EXPECT_THAT(outcome.counts.wanted, ElementsAre(3)) << "of bcd, for a is asked";
  EXPECT_EQ(outcome.counts.dropped_examples, 12);
  EXPECT_EQ(outcome.counts.truncated_examples, 13);
  EXPECT_THAT(outcome.report.warnings,
              ElementsAre(HasSubstr("13 of 13 train examples have more than 4 tokens"),
                          HasSubstr("12 of 13 train examples have no token to learn and are left "
                                    "out (lines 2, 3, 4, 5, 6, 7, 8, 9 and 4 more)")));
}

TEST(LanguageCountsTest, WhatTheTemplateDoesntReadIsTold) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kMessages;
  dataset.train = {At(1, Chat("a", "b"), R"([{"type":"function"}])"), At(2, Chat("a", "b"))};
  dataset.validation = {At(3, R"([{"role":"user","content":"a"},{"role":"assistant","content":"b",)"
                              R"("reasoning_content":"c"}])")};
  LanguageSetup setup = SetupOf(20, kTemplate);
  setup.training.chat_template_variables = {{"enable_thinking", false}};

  EXPECT_THAT(
      Count(dataset, setup).report.warnings,
      ElementsAre("task.causal_lm.chat_template_variables.enable_thinking has no effect: the chat "
                  "template doesn't name it",
                  "the chat template doesn't read tools, which 1 of 2 train examples has (line 1): "
                  "the model never sees that; give a template that writes it "
                  "(--chat-template FILE)",
                  HasSubstr("doesn't read messages.reasoning_content, which 1 of 1 validation")));

  setup.training.chat_template = std::string(kTemplate) +
                                 "{% if false %}{{ tools }}{{ messages[0].reasoning }}"
                                 "{{ enable_thinking }}{% endif %}";
  EXPECT_THAT(Count(dataset, setup).report.warnings, IsEmpty());
}

TEST(LanguageCountsTest, ASplitWithNothingToLearnIsAFault) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kMessages;
  dataset.train = {At(1, Chat("a", "b"))};
  dataset.validation = {At(4, Chat("a", "b", 0))};

  const Outcome outcome = Count(dataset, SetupOf(50, kTemplate));

  ASSERT_EQ(outcome.report.errors.size(), 1U);
  EXPECT_EQ(outcome.report.errors[0].reason, "NOTHING_TO_LEARN");
  EXPECT_EQ(outcome.report.errors[0].field, "dataset.validation");
}

TEST(LanguageCountsTest, AConversationThatTheTemplateRefusesIsAFaultWithItsLine) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kMessages;
  dataset.train = {At(1, Chat("a", "b")), At(7, Chat("c", "b"))};
  const std::string strict = std::string("{% if messages[0].content == 'c' %}") +
                             "{{ raise_exception('no c here') }}{% endif %}" + kTemplate;

  const Outcome outcome = Count(dataset, SetupOf(50, strict));

  ASSERT_EQ(outcome.report.errors.size(), 1U);
  EXPECT_EQ(outcome.report.errors[0].line, 7);
  EXPECT_EQ(outcome.report.errors[0].reason, "TEMPLATE_REFUSED");
  EXPECT_THAT(outcome.report.errors[0].message, HasSubstr("no c here"));
}

TEST(LanguageCountsTest, SamplesAreCountedAsTheyWillBeRead) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kText;
  dataset.train = {At(1, "ab")};
  LanguageSetup setup = SetupOf(50);
  setup.training.samples = {"abc", "d"};
  EXPECT_THAT(Count(dataset, setup).counts.samples, ElementsAre(3, 1));

  dataset.shape = Shape::kMessages;
  dataset.train = {At(1, Chat("a", "b"))};
  setup.training.chat_template = kTemplate;
  EXPECT_THAT(Count(dataset, setup).counts.samples, ElementsAre(4, 2)) << "with <e> behind each";
}

TEST(LanguageCountsTest, ASampleThatCantBeReadIsRefusedByItsPath) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kMessages;
  dataset.train = {At(1, Chat("a", "b"))};
  LanguageSetup setup =
      SetupOf(50, std::string("{% if messages[0].content == 'c' %}") +
                      "{{ raise_exception('no c here') }}{% endif %}" + kTemplate);
  datasets::Report report;
  const auto refusal = [&](const std::string& sample) {
    setup.training.samples = {"a", sample};
    return CountLanguage(
               dataset, setup, LettersBase(), [] { return OkStatus(); }, report)
        .status();
  };

  for (const auto& [sample, why] :
       {std::pair("c", "no c here"), {"aaaaaaaaaaaaaaaaaaaa", "21 tokens"}}) {
    EXPECT_EQ(refusal(sample).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(refusal(sample).details().at(0).field, "task.causal_lm.samples[1]");
    EXPECT_THAT(refusal(sample).message(), HasSubstr(why));
  }
}

TEST(LanguageCountsTest, TheWorkEndsWhenItIsTold) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kText;
  dataset.train = {At(1, "a")};
  datasets::Report report;
  const auto counts = CountLanguage(
      dataset, SetupOf(4), LettersBase(), [] { return CancelledError("enough"); }, report);

  EXPECT_EQ(counts.status().code(), StatusCode::kCancelled);
}

TEST(LanguageCountsTest, SettingsWithoutEffectAreTold) {
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kText;
  dataset.train = {At(1, "ab")};

  const Outcome outcome = Count(dataset, SetupOf(8, kTemplate), LettersBase("{}"));

  EXPECT_THAT(outcome.report.warnings, ElementsAre(HasSubstr("names no eos_token"),
                                                   HasSubstr("chat_template has no effect")));
  EXPECT_THAT(outcome.report.errors, IsEmpty());
}

TEST(ChooseChatTemplateTest, TheJobsGoesBeforeTheContinuedVersionsBeforeTheBases) {
  Base base = LettersBase();
  datasets::IngestedDataset dataset;
  dataset.shape = Shape::kMessages;
  dataset.train = {At(1, Chat("a", "b"), R"([{"name":"f"}])")};
  LanguageSetup setup = SetupOf(8, "job");
  setup.continued_template = "version";

  EXPECT_EQ(ChooseChatTemplate(dataset, setup, base).value(), "job");
  setup.training.chat_template.clear();
  EXPECT_EQ(ChooseChatTemplate(dataset, setup, base).value(), "version");
  setup.continued_template.clear();
  EXPECT_EQ(ChooseChatTemplate(dataset, setup, base).value(), kTemplate);
  base.chat.templates["tool_use"] = "tools";
  EXPECT_EQ(ChooseChatTemplate(dataset, setup, base).value(), "tools");
  base.chat.templates.clear();
  const Status none = ChooseChatTemplate(dataset, setup, base).status();
  EXPECT_EQ(none.details().at(0).reason, "NO_CHAT_TEMPLATE");
  EXPECT_EQ(none.details().at(0).field, "task.causal_lm.chat_template");
  base.chat_error = InvalidArgumentError("broken");
  EXPECT_THAT(ChooseChatTemplate(dataset, setup, base).status().message(), HasSubstr("broken"));
  dataset.shape = Shape::kText;
  EXPECT_EQ(ChooseChatTemplate(dataset, setup, base).value(), "");
  setup.continued_template = "version";
  EXPECT_EQ(ChooseChatTemplate(dataset, setup, base).value(), "version")
      << "texts that it goes on with change nothing of how it chats";
}

}  // namespace
}  // namespace graft::server::intake
