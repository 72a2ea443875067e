#include "common/language/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/tokenizers/tiny_bpe.h"
#include "tests/support/details.h"

namespace graft::language {
namespace {

using datasets::Shape;
using tasks::LossOn;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kTemplate =
    "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}";

/// Byte-level; <|end|> ends texts.
std::shared_ptr<const tokenizers::Tokenizer> Tokenizer() {
  static const auto tokenizer = [] {
    tokenizers::TokenizerFiles files;
    files["tokenizer.json"] = tokenizers::ByteLevelTokenizer().dump();
    files["tokenizer_config.json"] =
        R"({"tokenizer_class":"PreTrainedTokenizerFast","eos_token":"<|end|>"})";
    auto loaded = tokenizers::LoadTokenizer(files);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return *loaded;
  }();
  return tokenizer;
}

EncoderOptions OptionsOf(Shape shape, int max_length = 100, LossOn loss_on = LossOn::kAnswers) {
  EncoderOptions options;
  options.shape = shape;
  options.max_length = max_length;
  options.loss_on = loss_on;
  options.chat.chat_template = kTemplate;
  return options;
}

StatusOr<Encoded> Encode(const EncoderOptions& options, const datasets::Example& example) {
  const auto tokenizer = Tokenizer();
  GRAFT_ASSIGN_OR_RETURN(const auto encoder, Encoder::Create(*tokenizer, options));
  return encoder->Encode(example);
}

/// The text of each part, what is learned in brackets: "he[llo]"; "+x" behind a part whose last
/// target is the next part's.
std::vector<std::string> Shown(const EncoderOptions& options, const datasets::Example& example) {
  const auto encoded = Encode(options, example);
  EXPECT_TRUE(encoded.ok()) << encoded.status();
  std::vector<std::string> shown;
  if (!encoded.ok()) return shown;
  const auto text = [](int32_t id) { return Tokenizer()->Decode({id}, {.special_tokens = true}); };
  for (const Part& part : encoded->parts) {
    std::string all;
    for (size_t i = 0, next = 0; i <= part.ids.size(); ++i) {
      const bool is_target = i > 0 && next < part.positions.size() &&
                             part.positions[next] == static_cast<int32_t>(i - 1);
      if (i == part.ids.size()) {
        if (is_target) all += "+" + text(part.targets[next]);
        break;
      }
      if (is_target) {
        EXPECT_EQ(part.targets[next], part.ids[i]);
      }
      next += is_target ? 1 : 0;
      all += is_target ? "[" + text(part.ids[i]) + "]" : text(part.ids[i]);
    }
    shown.push_back(all);
  }
  return shown;
}

bool IsTooLong(const EncoderOptions& options, const datasets::Example& example) {
  return Encode(options, example).value().is_too_long;
}

TEST(LanguageEncoderTest, ATextEndsAndAllOfItIsLearned) {
  EXPECT_THAT(Shown(OptionsOf(Shape::kText), {"hello wor", ""}),
              ElementsAre("hello[ wor][<|end|>]"));
  // An end that is there already isn't doubled.
  EXPECT_THAT(Shown(OptionsOf(Shape::kText), {"hello<|end|>", ""}), ElementsAre("hello[<|end|>]"));
  EXPECT_THAT(Shown(OptionsOf(Shape::kText), {"", ""}), IsEmpty()) << "one token tells of nothing";
}

TEST(LanguageEncoderTest, ALongTextIsSplitAndNoTargetIsLost) {
  const EncoderOptions options = OptionsOf(Shape::kText, 2);
  EXPECT_THAT(Shown(options, {"hello wor hello", ""}),
              ElementsAre("hello[ wor]+ ", " [hello]+<|end|>"));
  EXPECT_TRUE(IsTooLong(options, {"hello wor hello", ""}));
  EXPECT_FALSE(IsTooLong(options, {"hello", ""}));
}

TEST(LanguageEncoderTest, ACompletionIsLearnedUpToItsEnd) {
  const EncoderOptions options = OptionsOf(Shape::kCompletion);
  EXPECT_THAT(Shown(options, {"hello", " wor12"}), ElementsAre("hello[ wor][12][<|end|>]"));
  // Where tokens join across the two, the completion begins where they part.
  EXPECT_THAT(Shown(options, {"wor h", "ello"}), ElementsAre("wor [hello][<|end|>]"));
  EXPECT_THAT(Shown(options, {"", "hello wor"}), ElementsAre("hello[ wor][<|end|>]"));
  EXPECT_THAT(Shown(OptionsOf(Shape::kCompletion, 100, LossOn::kAll), {"hello wor", "12"}),
              ElementsAre("hello[ wor][12][<|end|>]"));
}

TEST(LanguageEncoderTest, WhatIsBeyondMaxLengthIsCutAndWhatIsLeftWithNothingIsDropped) {
  EXPECT_THAT(Shown(OptionsOf(Shape::kCompletion, 3), {"hello wor", "12"}),
              ElementsAre("hello wor[12]"));
  EXPECT_TRUE(IsTooLong(OptionsOf(Shape::kCompletion, 3), {"hello wor", "12"}));
  EXPECT_THAT(Shown(OptionsOf(Shape::kCompletion, 2), {"hello wor", "12"}), IsEmpty());
}

const datasets::Example kChat = {
    R"([{"role":"user","content":"hello"},{"role":"assistant","content":"12","weight":0},)"
    R"({"role":"user","content":" wor"},{"role":"assistant","content":"hello"}])",
    ""};

TEST(LanguageEncoderTest, TheAssistantsTurnsAreLearnedWithTheTokenThatEndsThem) {
  EXPECT_THAT(Shown(OptionsOf(Shape::kMessages), kChat),
              ElementsAre("<u>hello<|end|><a>12<|end|><u> wor<|end|><a>[hello][<|end|>]"));
}

TEST(LanguageEncoderTest, AllOfAConversationCanBeLearned) {
  const auto encoded = Encode(OptionsOf(Shape::kMessages, 100, LossOn::kAll), kChat);
  ASSERT_TRUE(encoded.ok()) << encoded.status();
  EXPECT_EQ(encoded->parts.at(0).targets.size(), encoded->parts.at(0).ids.size() - 1);
}

TEST(LanguageEncoderTest, AConversationIsCutWhereTrlCutsIt) {
  EXPECT_THAT(Shown(OptionsOf(Shape::kMessages, 10), kChat), IsEmpty());
  EXPECT_TRUE(IsTooLong(OptionsOf(Shape::kMessages, 10), kChat));
}

TEST(LanguageEncoderTest, ToolsVariablesAndTimeReachTheTemplate) {
  EncoderOptions options = OptionsOf(Shape::kMessages, 200);
  options.chat.chat_template =
      "{{ bos_token }}{{ tools | tojson }}{{ mode }}{{ strftime_now('%Y') }}"
      "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}";
  options.chat.special_tokens = {{"bos_token", "<|end|>"}};
  options.chat.variables = {{"mode", "x"}};
  options.chat.now = std::chrono::sys_seconds(std::chrono::seconds(1'700'000'000));

  const auto shown =
      Shown(options, {R"([{"role":"assistant","content":"hello"}])", R"([{"name":"f","a":1}])"});

  EXPECT_THAT(shown, ElementsAre(R"(<|end|>[{"name": "f", "a": 1}]x2023[hello])"));
}

TEST(LanguageEncoderTest, ATemplateThatIsWrongIsRefusedAtOnce) {
  EncoderOptions options = OptionsOf(Shape::kMessages);
  options.chat.chat_template = "{% for %}";
  const auto encoder = Encoder::Create(*Tokenizer(), options);

  EXPECT_EQ(ReasonOf(encoder.status()), "TEMPLATE_SYNTAX");
  EXPECT_EQ(FieldOf(encoder.status()), "task.causal_lm.chat_template");
}

TEST(LanguageEncoderTest, WhatATemplateRefusesIsAnErrorOfTheExample) {
  EncoderOptions options = OptionsOf(Shape::kMessages);
  options.chat.chat_template = "{{ raise_exception('roles must alternate') }}";

  const Status status = Encode(options, kChat).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("roles must alternate"));
}

TEST(LanguageEncoderTest, ADamagedConversationIsAnError) {
  EXPECT_EQ(Encode(OptionsOf(Shape::kMessages), {"[{", ""}).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace graft::language
