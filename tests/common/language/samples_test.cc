#include "common/language/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/tokenizers/tiny_bpe.h"
#include "tests/support/details.h"

namespace graft::language {
namespace {

using datasets::Shape;
using testing::ElementsAre;
using testing::HasSubstr;

class SamplesTest : public testing::Test {
 protected:
  SamplesTest() {
    tokenizers::TokenizerFiles files;
    files["tokenizer.json"] = tokenizers::ByteLevelTokenizer().dump();
    files["tokenizer_config.json"] =
        R"({"tokenizer_class":"PreTrainedTokenizerFast","eos_token":"<|end|>"})";
    tokenizer_ = tokenizers::LoadTokenizer(files).value();
  }

  StatusOr<std::vector<std::string>> Read(Shape shape, const std::vector<std::string>& samples,
                                          const std::string& chat_template = "") {
    EncoderOptions options;
    options.shape = shape;
    options.max_length = 2;  // Of examples; prompts are whole.
    options.chat.chat_template = chat_template;
    options.chat.variables = {{"name", "hello"}};
    GRAFT_ASSIGN_OR_RETURN(const auto encoder, Encoder::Create(*tokenizer_, std::move(options)));
    tasks::LanguageTraining training;
    training.samples = samples;
    GRAFT_ASSIGN_OR_RETURN(const auto tokens, EncodeSamples(*encoder, training, kContext));
    std::vector<std::string> texts;
    for (const auto& ids : tokens)
      texts.push_back(tokenizer_->Decode(ids, {.special_tokens = true}));
    return texts;
  }

  static constexpr int64_t kContext = 8;
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
};

TEST_F(SamplesTest, TextsAndPromptsAreContinuedAsTheyStand) {
  for (const Shape shape : {Shape::kText, Shape::kCompletion}) {
    EXPECT_THAT(Read(shape, {"hello wor", "he"}).value(), ElementsAre("hello wor", "he"))
        << "without the end that examples have";
  }
}

TEST_F(SamplesTest, AmongConversationsAPromptIsWhatTheUserSays) {
  const std::string chat_template =
      "{{ name }}{% for m in messages %}{{ m.role[0] }}{{ m.content }}<|end|>{% endfor %}"
      "{% if add_generation_prompt %}a{% endif %}";

  EXPECT_THAT(Read(Shape::kMessages, {"he"}, chat_template).value(),
              ElementsAre("hellouhe<|end|>a"));
}

TEST_F(SamplesTest, WhatCantBeContinuedIsRefusedByItsPath) {
  const std::string strict = "{{ raise_exception('not you') }}";
  for (const auto& [status, why] :
       {std::pair(Read(Shape::kText, {"he", ""}).status(), "has no token"),
        {Read(Shape::kText, {"he", "xxxxxxxx"}).status(), "has 8 tokens"}}) {
    EXPECT_EQ(FieldOf(status), "task.causal_lm.samples[1]");
    EXPECT_THAT(status.message(), HasSubstr(why));
  }
  EXPECT_TRUE(Read(Shape::kText, {"xxxxxxx"}).ok()) << "one token fits";
  const Status refused = Read(Shape::kMessages, {"he"}, strict).status();
  EXPECT_EQ(FieldOf(refused), "task.causal_lm.samples[0]");
  EXPECT_THAT(refused.message(), HasSubstr("not you"));
}

}  // namespace
}  // namespace graft::language
