#include "server/rest/answer_shape.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pieces_tokenizer.h"

namespace graft::server::rest {
namespace {

using graft::v1::GenerateResponse;

TokenTexts Texts() { return TokenTexts(std::make_shared<PiecesTokenizer>()); }

GenerateResponse::Token Token(int32_t id, float log_probability) {
  GenerateResponse::Token token;
  token.set_id(id);
  token.set_log_probability(log_probability);
  return token;
}

ChoicePart Part(const std::string& text, const std::string& finish_reason, bool is_first) {
  return {1, text, nullptr, finish_reason, is_first};
}

TEST(ChatShapeTest, AWholeChoiceIsAMessage) {
  EXPECT_EQ(ChatShape().WholeChoice(Part("yes", "stop", false)),
            Json({{"index", 1},
                  {"message", {{"role", "assistant"}, {"content", "yes"}, {"refusal", nullptr}}},
                  {"logprobs", nullptr},
                  {"finish_reason", "stop"}}));
}

TEST(ChatShapeTest, TheFirstPartSaysTheRole) {
  EXPECT_EQ(ChatShape().StreamedChoice(Part("", "", true))["delta"],
            Json({{"role", "assistant"}, {"content", ""}}));
  EXPECT_EQ(ChatShape().StreamedChoice(Part("y", "", false))["delta"], Json({{"content", "y"}}));
}

TEST(ChatShapeTest, APartThatOnlyEndsItHasAnEmptyDelta) {
  const Json choice = ChatShape().StreamedChoice(Part("", "length", false));

  EXPECT_EQ(choice["delta"], Json::object());
  EXPECT_EQ(choice["finish_reason"], "length");
}

TEST(ChatShapeTest, WhileItGoesOnThereIsNoReasonOfItsEnd) {
  EXPECT_EQ(ChatShape().StreamedChoice(Part("y", "", false))["finish_reason"], nullptr);
}

TEST(ChatShapeTest, LogprobsOfLaterTokensAreAppended) {
  Json logprobs = ChatShape().Logprobs({Token(PiecesTokenizer::kCat, -1)}, Texts(), 0);

  ChatShape().Append(ChatShape().Logprobs({Token(PiecesTokenizer::kS, -2)}, Texts(), 4), logprobs);

  ASSERT_EQ(logprobs["content"].size(), 2U);
  EXPECT_EQ(logprobs["content"][0]["token"], " cat");
  EXPECT_EQ(logprobs["content"][1]["token"], "s");
  EXPECT_EQ(logprobs["refusal"], nullptr);
}

TEST(ChatShapeTest, StreamsHaveAnObjectOfTheirOwn) {
  EXPECT_EQ(ChatShape().Object(true), "chat.completion.chunk");
  EXPECT_EQ(ChatShape().Object(false), "chat.completion");
  EXPECT_EQ(ChatShape().IdPrefix(), "chatcmpl-");
}

TEST(TextShapeTest, AChoiceIsAText) {
  const Json choice = {
      {"index", 1}, {"text", "yes"}, {"logprobs", nullptr}, {"finish_reason", nullptr}};

  EXPECT_EQ(TextShape().WholeChoice(Part("yes", "", false)), choice);
  EXPECT_EQ(TextShape().StreamedChoice(Part("yes", "", true)), choice);
  EXPECT_EQ(TextShape().Object(true), "text_completion");
  EXPECT_EQ(TextShape().IdPrefix(), "cmpl-");
}

TEST(TextShapeTest, LogprobsAreListsWithTheTokensPlaces) {
  GenerateResponse::Token first = Token(PiecesTokenizer::kCat, -1);
  auto& best = *first.add_best();
  best.set_token(PiecesTokenizer::kS);
  best.set_log_probability(-0.5F);

  Json logprobs = TextShape().Logprobs({first}, Texts(), 10);
  TextShape().Append(TextShape().Logprobs({Token(PiecesTokenizer::kS, -2)}, Texts(), 14), logprobs);

  EXPECT_EQ(logprobs,
            Json({{"tokens", {" cat", "s"}},
                  {"token_logprobs", {-1.0, -2.0}},
                  {"top_logprobs", Json::array({{{" cat", -1.0}, {"s", -0.5}}, {{"s", -2.0}}})},
                  {"text_offset", {10, 14}}}));
}

TEST(TextShapeTest, PartsOfACharacterAreToldApartAndCountOnce) {
  GenerateResponse::Token first = Token(PiecesTokenizer::kHalf, -1);
  for (const int32_t id : {PiecesTokenizer::kOther, PiecesTokenizer::kHalf}) {
    auto& best = *first.add_best();
    best.set_token(id);
    best.set_log_probability(id == PiecesTokenizer::kOther ? -0.5F : -1);
  }

  const Json logprobs = TextShape().Logprobs(
      {first, Token(PiecesTokenizer::kOther, -2), Token(PiecesTokenizer::kS, -3)}, Texts(), 0);

  EXPECT_EQ(logprobs["top_logprobs"][0],
            Json({{"bytes:\\xf0\\x9f", -1.0}, {"bytes:\\x98\\x80", -0.5}}));
  EXPECT_EQ(logprobs["text_offset"], Json({0, 1, 1}));
}

TEST(TextShapeTest, OfTokensWithOneTextTheLikeliestIsShown) {
  GenerateResponse::Token first = Token(PiecesTokenizer::kCat, -1);
  for (const float log_probability : {-0.5F, -4.0F}) {
    auto& best = *first.add_best();
    best.set_token(PiecesTokenizer::kS);
    best.set_log_probability(log_probability);
  }
  EXPECT_EQ(TextShape().Logprobs({first}, Texts(), 0)["top_logprobs"][0],
            Json({{" cat", -1.0}, {"s", -0.5}}));
}

TEST(TextShapeTest, AFirstTokenHasNoProbability) {
  GenerateResponse::Token token;
  token.set_id(PiecesTokenizer::kS);

  const Json logprobs = TextShape().Logprobs({token}, Texts(), 0);

  EXPECT_EQ(logprobs["token_logprobs"], Json::array({nullptr}));
  EXPECT_EQ(logprobs["top_logprobs"], Json::array({nullptr}));
}

}  // namespace
}  // namespace graft::server::rest
