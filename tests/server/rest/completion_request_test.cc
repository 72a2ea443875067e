#include "server/rest/completion_request.h"

#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/must.h"

namespace graft::server::rest {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<int32_t>;

Json Body(const Json& more) {
  Json body = {{"model", "support"}, {"prompt", "hello"}};
  body.update(more);
  return body;
}
CompletionRequest Read(const Json& more = Json::object()) {
  return graft::testing::Must(ReadCompletionRequest(Body(more)));
}

TEST(CompletionRequestTest, APromptHasFourForms) {
  EXPECT_THAT(Read({{"prompt", "a"}}).prompts, ElementsAre(PromptText("a")));
  EXPECT_THAT(Read({{"prompt", {"a", "b"}}}).prompts,
              ElementsAre(PromptText("a"), PromptText("b")));
  EXPECT_THAT(Read({{"prompt", {1, 2}}}).prompts, ElementsAre(PromptText(Ids{1, 2})));
  EXPECT_THAT(Read({{"prompt", {{1, 2}, {3}}}}).prompts,
              ElementsAre(PromptText(Ids{1, 2}), PromptText(Ids{3})));
}

TEST(CompletionRequestTest, AnEmptyTextIsAPrompt) {
  EXPECT_THAT(Read({{"prompt", ""}}).prompts, ElementsAre(PromptText("")));
}

TEST(CompletionRequestTest, UnlessAskedForMoreThereAre16Tokens) {
  EXPECT_EQ(Read().max_tokens, 16);
  EXPECT_EQ(Read().settings.max_tokens(), 16);
  EXPECT_EQ(Read({{"max_tokens", 3}}).settings.max_tokens(), 3);
}

TEST(CompletionRequestTest, NothingMayBeGeneratedWhereThePromptIsEchoed) {
  const CompletionRequest request = Read({{"max_tokens", 0}, {"echo", true}});

  EXPECT_TRUE(request.echo);
  EXPECT_EQ(request.max_tokens, 0);
}

TEST(CompletionRequestTest, LogprobsAreANumber) {
  EXPECT_FALSE(Read().wants_logprobs);
  EXPECT_TRUE(Read({{"logprobs", 0}}).wants_logprobs);
  EXPECT_EQ(Read({{"logprobs", 3}}).settings.logprobs(), 3);
}

TEST(CompletionRequestTest, BestOfMayBeWhatIsReturnedAnyway) {
  EXPECT_EQ(Read({{"best_of", 1}}).settings.n(), 0);
  EXPECT_EQ(Read({{"best_of", 4}, {"n", 4}}).settings.n(), 4);
}

struct Row {
  const char* name;
  Json more;
  const char* field;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class CompletionRequestFaultTest : public ::testing::TestWithParam<Row> {};

TEST_P(CompletionRequestFaultTest, NamesTheField) {
  const Status status = ReadCompletionRequest(Body(GetParam().more)).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  ASSERT_THAT(status.details(), ::testing::SizeIs(1));
  EXPECT_EQ(status.details()[0].field, GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, CompletionRequestFaultTest,
    ::testing::Values(
        Row{"NoModel", {{"model", nullptr}}, "model"},
        Row{"NoPrompt", {{"prompt", nullptr}}, "prompt"},
        Row{"EmptyList", {{"prompt", Json::array()}}, "prompt"},
        Row{"EmptyTokens", {{"prompt", Json::array({Json::array()})}}, "prompt"},
        Row{"MixedList", {{"prompt", {"a", 1}}}, "prompt"},
        Row{"NegativeToken", {{"prompt", {1, -1}}}, "prompt"},
        Row{"TokenBeyond31Bits", {{"prompt", {int64_t{1} << 31}}}, "prompt"},
        Row{"TokenBeyond63Bits", {{"prompt", {UINT64_MAX}}}, "prompt"},
        Row{"TokenInTheMiddle", {{"prompt", {1.5}}}, "prompt"},
        Row{"PromptAnObject", {{"prompt", Json::object()}}, "prompt"},
        Row{"TooManyPrompts", {{"prompt", std::vector<std::string>(129, "a")}}, "prompt"},
        Row{"TooDeep", {{"prompt", {{{1}}}}}, "prompt"},
        Row{"NothingWithoutEcho", {{"max_tokens", 0}}, "max_tokens"},
        Row{"NegativeLength", {{"max_tokens", -1}}, "max_tokens"},
        Row{"LogprobsTrue", {{"logprobs", true}}, "logprobs"},
        Row{"TooManyLogprobs", {{"logprobs", 21}}, "logprobs"},
        Row{"Suffix", {{"suffix", "x"}}, "suffix"}, Row{"BestOfMore", {{"best_of", 2}}, "best_of"},
        Row{"Messages", {{"messages", Json::array()}}, "messages"}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace graft::server::rest
