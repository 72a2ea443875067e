#include "server/rest/generation_fields.h"

#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/must.h"

namespace graft::server::rest {
namespace {

using graft::v1::GenerationSettings;
using ::testing::ElementsAre;

StatusOr<GenerationSettings> TryRead(const Json& body) {
  Fields fields(body, "");
  GenerationSettings settings;
  ReadGeneration(fields, settings);
  ReadHarmless(fields);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return settings;
}
GenerationSettings Read(const Json& body) { return graft::testing::Must(TryRead(body)); }

TEST(GenerationFieldsTest, WhatIsNotSaidIsTheBasesOwn) {
  EXPECT_EQ(Read(Json::object()).ByteSizeLong(), 0U);
}

TEST(GenerationFieldsTest, EachFieldHasItsSetting) {
  const GenerationSettings settings = Read({{"temperature", 0.5},
                                            {"top_p", 0.25},
                                            {"min_p", 0.125},
                                            {"top_k", 7},
                                            {"repetition_penalty", 1.5},
                                            {"frequency_penalty", -1},
                                            {"presence_penalty", 2},
                                            {"n", 3},
                                            {"min_tokens", 4}});

  EXPECT_EQ(settings.temperature(), 0.5);
  EXPECT_EQ(settings.top_p(), 0.25);
  EXPECT_EQ(settings.min_p(), 0.125);
  EXPECT_EQ(settings.top_k(), 7);
  EXPECT_EQ(settings.repetition_penalty(), 1.5);
  EXPECT_EQ(settings.frequency_penalty(), -1);
  EXPECT_EQ(settings.presence_penalty(), 2);
  EXPECT_EQ(settings.n(), 3);
  EXPECT_EQ(settings.min_tokens(), 4);
}

TEST(GenerationFieldsTest, ZeroIsSaid) {
  EXPECT_TRUE(Read({{"temperature", 0}}).has_temperature());
  EXPECT_TRUE(Read({{"seed", 0}}).has_seed());
}

TEST(GenerationFieldsTest, ATopKBelowZeroIsAllTokens) {
  EXPECT_EQ(Read({{"top_k", -1}}).top_k(), 0);
}

TEST(GenerationFieldsTest, EverySeedIsOneOfItsOwn) {
  const std::pair<Json, uint64_t> rows[] = {{5, 5},
                                            {-1, UINT64_MAX},
                                            {INT64_MIN, uint64_t{1} << 63},
                                            {UINT64_MAX, UINT64_MAX},
                                            {"17", 17}};
  for (const auto& [seed, wanted] : rows) EXPECT_EQ(Read({{"seed", seed}}).seed(), wanted) << seed;
}

TEST(GenerationFieldsTest, AStopIsATextOrAList) {
  EXPECT_THAT(Read({{"stop", "a"}}).stop(), ElementsAre("a"));
  EXPECT_THAT(Read({{"stop", {"a", "b"}}}).stop(), ElementsAre("a", "b"));
}

TEST(GenerationFieldsTest, BiasesAreByTokenId) {
  const GenerationSettings settings = Read({{"logit_bias", {{"7", -100}}}});

  ASSERT_EQ(settings.logit_bias_size(), 1);
  EXPECT_EQ(settings.logit_bias(0).token(), 7);
  EXPECT_EQ(settings.logit_bias(0).bias(), -100);
}

TEST(GenerationFieldsTest, EndTokensAreIds) {
  EXPECT_THAT(Read({{"stop_token_ids", {0, 2147483647}}}).end_tokens(), ElementsAre(0, 2147483647));
}

struct Row {
  const char* name;
  Json body;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class GenerationFaultTest : public ::testing::TestWithParam<Row> {};

TEST_P(GenerationFaultTest, NamesTheField) {
  const Status status = TryRead(GetParam().body).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  ASSERT_THAT(status.details(), ::testing::SizeIs(1));
  EXPECT_EQ(status.details()[0].field, GetParam().body.begin().key());
}

INSTANTIATE_TEST_SUITE_P(
    Rows, GenerationFaultTest,
    ::testing::Values(Row{"TemperatureBelow", {{"temperature", -0.1}}},
                      Row{"TemperatureAbove", {{"temperature", 101}}},
                      Row{"TemperatureAText", {{"temperature", "1"}}},
                      Row{"TemperatureAList", {{"temperature", {1}}}},
                      Row{"TopPAbove", {{"top_p", 1.01}}}, Row{"MinPBelow", {{"min_p", -1}}},
                      Row{"TopKBelow", {{"top_k", -2}}}, Row{"TopKInTheMiddle", {{"top_k", 1.5}}},
                      Row{"RepetitionZero", {{"repetition_penalty", 0}}},
                      Row{"FrequencyAbove", {{"frequency_penalty", 2.5}}},
                      Row{"PresenceBelow", {{"presence_penalty", -2.5}}},
                      Row{"NoChoices", {{"n", 0}}}, Row{"TooManyChoices", {{"n", 65}}},
                      Row{"ChoicesBeyond64Bits", {{"n", 1e300}}},
                      Row{"SeedInTheMiddle", {{"seed", 1.5}}}, Row{"SeedAText", {{"seed", "x"}}},
                      Row{"SeedAnObject", {{"seed", Json::object()}}},
                      Row{"MinTokensBelow", {{"min_tokens", -1}}},
                      Row{"StopANumber", {{"stop", 1}}}, Row{"StopsOfNumbers", {{"stop", {1}}}},
                      Row{"StopTooLong", {{"stop", std::string(513, 's')}}},
                      Row{"TooManyStops", {{"stop", std::vector<std::string>(17, "s")}}},
                      Row{"BiasAList", {{"logit_bias", {1}}}},
                      Row{"BiasOfAWord", {{"logit_bias", {{"x", 1}}}}},
                      Row{"BiasOfAHalf", {{"logit_bias", {{"1x", 1}}}}},
                      Row{"BiasBeyond31Bits", {{"logit_bias", {{"2147483648", 1}}}}},
                      Row{"BiasAText", {{"logit_bias", {{"1", "x"}}}}},
                      Row{"EndTokensANumber", {{"stop_token_ids", 1}}},
                      Row{"EndTokenBelow", {{"stop_token_ids", {-1}}}},
                      Row{"EndTokenAbove", {{"stop_token_ids", {UINT64_MAX}}}},
                      Row{"EndTokenInTheMiddle", {{"stop_token_ids", {1.0}}}}),
    [](const auto& row) { return std::string(row.param.name); });

StatusOr<StreamOptions> ReadStream(const Json& body) {
  Fields fields(body, "");
  const StreamOptions options = ReadStreamOptions(fields);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return options;
}

TEST(StreamOptionsTest, AStreamMayEndWithItsUsage) {
  EXPECT_FALSE(ReadStream(Json::object())->stream);
  EXPECT_TRUE(ReadStream({{"stream", true}})->stream);
  EXPECT_FALSE(ReadStream({{"stream", true}})->include_usage);
  EXPECT_TRUE(
      ReadStream({{"stream", true},
                  {"stream_options", {{"include_usage", true}, {"include_obfuscation", false}}}})
          ->include_usage);
}

TEST(StreamOptionsTest, FaultsOfTheOptionsAreTheirs) {
  for (const Json& body :
       {Json{{"stream_options", Json::object()}}, Json{{"stream", true}, {"stream_options", 1}},
        Json{{"stream", true}, {"stream_options", {{"include_usage", 1}}}},
        Json{{"stream", true}, {"stream_options", {{"usage", true}}}}}) {
    const Status status = ReadStream(body).status();

    ASSERT_THAT(status.details(), ::testing::SizeIs(1)) << body;
    EXPECT_EQ(status.details()[0].field, "stream_options");
  }
}

}  // namespace
}  // namespace graft::server::rest
