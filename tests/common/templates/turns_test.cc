#include "common/templates/turns.h"

#include <gmock/gmock.h>

#include "tests/common/templates/render.h"

namespace graft::templates {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kChatml =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";
constexpr const char* kMarked =
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}<end>{% endgeneration %}{% else %}{{ m.content }}<end>"
    "{% endif %}{% endfor %}";

Conversation Chat(std::initializer_list<OrderedJson> messages) {
  Conversation chat;
  chat.messages = OrderedJson::array();
  for (const OrderedJson& message : messages) chat.messages.push_back(message);
  return chat;
}

OrderedJson Weighted(const OrderedJson& message, const OrderedJson& weight) {
  OrderedJson weighted = message;
  weighted["weight"] = weight;
  return weighted;
}

const OrderedJson kAsk = Message("user", "q\u00e9");
const OrderedJson kAnswer = Message("assistant", "a\u00e9");
const OrderedJson kMore = Message("assistant", "more");

/// The texts that carry loss.
StatusOr<std::vector<std::string>> Loss(const char* source, const Conversation& chat,
                                        const RenderOptions& options = {}) {
  GRAFT_ASSIGN_OR_RETURN(const TrainingText text,
                         RenderForTraining(MustParse(source), chat, options));
  std::vector<std::string> parts;
  for (const ByteRange& range : text.loss)
    parts.push_back(text.text.substr(range.begin, range.end - range.begin));
  return parts;
}

TEST(RenderForTrainingTest, ATurnIsWhatItAddsAndItsEndBelongsToIt) {
  EXPECT_THAT(*Loss(kChatml, Chat({kAsk, kAnswer, kAsk, kMore})),
              ElementsAre("a\u00e9<end>\n", "more<end>\n"));
  EXPECT_THAT(*Loss(kChatml, Chat({kAnswer, kAsk})), ElementsAre("a\u00e9<end>\n"));
  EXPECT_THAT(*Loss(kChatml, Chat({kAsk, kAnswer, kMore})),
              ElementsAre("a\u00e9<end>\n", "more<end>\n"));
}

TEST(RenderForTrainingTest, WithoutAssistantThereIsNoLoss) {
  EXPECT_THAT(*Loss(kChatml, Chat({kAsk})), IsEmpty());
  EXPECT_THAT(*Loss(kMarked, Chat({kAsk})), IsEmpty());
}

TEST(RenderForTrainingTest, ATemplatesOwnMarksAreTaken) {
  EXPECT_THAT(*Loss(kMarked, Chat({kAsk, kAnswer, kAsk, kMore})),
              ElementsAre("a\u00e9<end>", "more<end>"));
}

TEST(RenderForTrainingTest, MarksThatTouchAreOneRange) {
  EXPECT_THAT(*Loss("{% generation %}a{% endgeneration %}{% generation %}b{% endgeneration %}"
                    "{% generation %}{% endgeneration %}",
                    Chat({kAnswer})),
              ElementsAre("ab"));
}

TEST(RenderForTrainingTest, AMessageOfWeightZeroCarriesNoLoss) {
  for (const char* source : {kChatml, kMarked}) {
    const auto loss = Loss(source, Chat({kAsk, Weighted(kAnswer, 0), kAsk, Weighted(kMore, 1)}));
    ASSERT_TRUE(loss.ok()) << loss.status();
    ASSERT_EQ(loss->size(), 1);
    EXPECT_THAT(loss->at(0), HasSubstr("more<end>"));
    EXPECT_THAT(*Loss(source, Chat({kAsk, Weighted(kAnswer, 0)})), IsEmpty());
  }
}

TEST(RenderForTrainingTest, TemplatesDontSeeTheWeight) {
  const auto text =
      RenderForTraining(MustParse("{{ messages[0] }}"), Chat({Weighted(kAsk, 1)}), {});
  EXPECT_EQ(text->text, "{'role': 'user', 'content': 'q\u00e9'}");
}

TEST(RenderForTrainingTest, AWeightThatIsNeitherZeroNorOneIsRefused) {
  for (const OrderedJson& weight : {OrderedJson(0.5), OrderedJson("1"), OrderedJson(true)}) {
    const Status status = Loss(kChatml, Chat({kAsk, Weighted(kAnswer, weight)})).status();
    EXPECT_EQ(status.message(), "messages[1].weight must be 0 or 1");
  }
}

TEST(RenderForTrainingTest, AnEndOfTextBehindTheLastMessageBelongsToIt) {
  const char* source =
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<end>{% endfor %}"
      "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}";
  RenderOptions options;
  options.special_tokens = {{"eos_token", "</s>"}};

  EXPECT_THAT(*Loss(source, Chat({kAsk, kAnswer, kAsk, kMore}), options),
              ElementsAre("a\u00e9<end>", "more<end></s>"));
}

TEST(RenderForTrainingTest, ATurnThatLaterMessagesChangeIsRefusedByName) {
  const char* forgets =
      "{% for m in messages %}<|{{ m.role }}|>{% if loop.last %}<think>{% endif %}{{ m.content }}"
      "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

  const Status status = Loss(forgets, Chat({kAsk, kAnswer, kAsk, kMore})).status();

  EXPECT_EQ(ReasonOf(status), "TURN_HAS_NO_PLACE");
  EXPECT_THAT(status.message(), testing::StartsWith("messages[1]: "));
}

TEST(RenderForTrainingTest, APromptThatTheTurnDoesntBeginWithIsRefusedByName) {
  const char* thinks =
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
      "{% if add_generation_prompt %}<|assistant|><think>{% endif %}";

  const Status status = Loss(thinks, Chat({kAsk, kAnswer})).status();

  EXPECT_THAT(status.message(), HasSubstr("messages[1]: the template renders the messages before"));
}

TEST(RenderForTrainingTest, ABeginningThatCantBeRenderedIsRefusedByName) {
  const char* insists =
      "{% if messages[-1].role != 'assistant' %}{{ raise_exception('no') }}{% endif %}x";

  const Status status = Loss(insists, Chat({kAsk, kAnswer})).status();

  EXPECT_THAT(status.message(), HasSubstr("messages[1]: the messages before it can't be rendered"));
}

TEST(RenderForTrainingTest, MarksWithoutAPlaceAreRefused) {
  EXPECT_EQ(ReasonOf(Loss("{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x }}",
                          Chat({kAnswer}))
                         .status()),
            "TURN_HAS_NO_PLACE");
  EXPECT_EQ(ReasonOf(Loss("{% if false %}{% generation %}a{% endgeneration %}{% endif %}",
                          Chat({kAnswer}))
                         .status()),
            "TURN_HAS_NO_PLACE");
}

TEST(RenderForTrainingTest, AllRenderingsTogetherHaveTheStepsOfOne) {
  Conversation chat;
  for (int i = 0; i < 400; ++i) chat.messages.push_back(i % 2 == 0 ? kAsk : kAnswer);
  RenderOptions options;
  options.limits.max_steps = 100'000;

  EXPECT_TRUE(MustParse(kChatml).Render(chat, options).ok());
  EXPECT_THAT(Loss(kChatml, chat, options).status().message(), HasSubstr("steps"));
  EXPECT_EQ(Loss(kChatml, chat)->size(), 200);
}

}  // namespace
}  // namespace graft::templates
