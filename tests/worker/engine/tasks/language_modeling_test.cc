#include "worker/engine/tasks/language_modeling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/details.h"
#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine {
namespace {

using ::testing::ElementsAre;

/// Of a base whose template writes <s>ROLE CONTENT</s> for each message.
std::shared_ptr<const tokenizers::Tokenizer> Letters() {
  const auto loaded =
      tokenizers::LoadTokenizer(std::filesystem::path(testing::DecoderFolder()) / "base-llama");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return *loaded;
}

constexpr const char* kTemplate =
    "{% for m in messages %}<s>{{ m.role }} {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant {% endif %}";

tasks::TaskSpec Language(tasks::LossOn loss_on = tasks::LossOn::kAnswers) {
  tasks::TaskSpec task;
  task.kind = tasks::Kind::kCausalLanguageModeling;
  task.language.loss_on = loss_on;
  return task;
}

StatusOr<TokenizedSplit> Encode(const datasets::IngestedDataset& data, int max_length,
                                const std::string& chat_template = kTemplate) {
  const auto tokenizer = Letters();
  const auto encoder =
      MakeTask(Language())
          ->NewEncoder({.dataset = data,
                        .tokenizer = *tokenizer,
                        .max_length = max_length,
                        .chat = {.chat_template = chat_template, .special_tokens = {}}});
  return Tokenize(data.train, *encoder);
}

TEST(LanguageModelingTest, AnExampleMayBecomeSeveralOrNone) {
  datasets::IngestedDataset data;
  data.shape = datasets::Shape::kCompletion;
  data.train = {{"xyz", "qq"}, {"xyzxyzxyz", "q"}};

  const auto cut = Encode(data, 6);
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_EQ(cut->size(), 1);
  EXPECT_EQ(cut->num_given, 2);
  EXPECT_EQ(cut->num_dropped, 1);
  EXPECT_EQ(cut->num_truncated, 1);
  EXPECT_THAT(cut->positions, ElementsAre(2, 3, 4)) << "q, q and </s>";

  data.shape = datasets::Shape::kText;
  const auto split = Encode(data, 4);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_THAT(split->offsets, ElementsAre(0, 4, 8, 12, 14)) << "xyz</s>, and xyzx yzxy z</s>";
  EXPECT_EQ(split->num_dropped, 0);
}

TEST(LanguageModelingTest, OfAConversationTheAnswersAreTargets) {
  datasets::IngestedDataset data;
  data.shape = datasets::Shape::kMessages;
  data.train = {{R"([{"role":"user","content":"xyz"},{"role":"assistant","content":"qq"}])", ""}};

  const auto split = Encode(data, 60);

  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->num_targets(0), 3);
  EXPECT_EQ(split->positions.back(), split->length(0) - 2);
}

TEST(LanguageModelingTest, ATemplateThatCantBeReadFailsTheFirstExample) {
  datasets::IngestedDataset data;
  data.shape = datasets::Shape::kMessages;
  data.train = {{R"([{"role":"assistant","content":"q"}])", ""}};

  EXPECT_EQ(ReasonOf(Encode(data, 60, "{% for %}").status()), "TEMPLATE_SYNTAX");
}

}  // namespace
}  // namespace graft::worker::engine
