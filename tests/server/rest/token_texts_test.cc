#include "server/rest/token_texts.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pieces_tokenizer.h"

namespace graft::server::rest {
namespace {

using graft::v1::GenerateResponse;

TokenTexts Texts() { return TokenTexts(std::make_shared<PiecesTokenizer>()); }

TEST(TokenTextsTest, ATokenKeepsItsSpaceThoughADecoderTakesTheFirst) {
  EXPECT_EQ(Texts().Of(PiecesTokenizer::kCat), " cat");
}

TEST(TokenTextsTest, ATokenWithoutSpaceIsItsText) {
  EXPECT_EQ(Texts().Of(PiecesTokenizer::kS), "s");
}

TEST(TokenTextsTest, SpecialTokensHaveATextToo) {
  EXPECT_EQ(Texts().Of(PiecesTokenizer::kEnd), "</s>");
}

TEST(TokenTextsTest, ATokenThatIsNoneHasNoText) { EXPECT_EQ(Texts().Of(99), ""); }

TEST(TokenTextsTest, APartOfACharacterIsItsBytes) {
  EXPECT_EQ(Texts().Of(PiecesTokenizer::kHalf), "\\xf0\\x9f");
  EXPECT_EQ(Texts().InText(PiecesTokenizer::kHalf), "bytes:\\xf0\\x9f");
  EXPECT_EQ(Texts().BytesOf(PiecesTokenizer::kHalf), "\xf0\x9f");
  EXPECT_EQ(Texts().InText(PiecesTokenizer::kCat), " cat");
  GenerateResponse::Token token;
  token.set_id(PiecesTokenizer::kOther);
  EXPECT_EQ(Texts().ChatEntry(token)["bytes"], Json({0x98, 0x80}));
}

TEST(TokenTextsTest, AChatsEntryHasTheLikeliestBeside) {
  GenerateResponse::Token token;
  token.set_id(PiecesTokenizer::kCat);
  token.set_log_probability(-0.5F);
  auto& best = *token.add_best();
  best.set_token(PiecesTokenizer::kS);
  best.set_log_probability(-0.25F);

  EXPECT_EQ(Texts().ChatEntry(token),
            Json({{"token", " cat"},
                  {"logprob", -0.5},
                  {"bytes", {32, 99, 97, 116}},
                  {"top_logprobs",
                   Json::array({{{"token", "s"}, {"logprob", -0.25}, {"bytes", {115}}}})}}));
}

}  // namespace
}  // namespace graft::server::rest
