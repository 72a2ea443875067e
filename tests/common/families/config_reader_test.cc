#include "common/families/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace graft::families {
namespace {

using testing::HasSubstr;

TEST(ConfigReaderTest, ReadsFieldsOfEachType) {
  const Json config = {{"layers", 6}, {"eps", 1e-5}, {"act", "relu"}, {"decoder", true}};

  ConfigReader read(config);

  EXPECT_EQ(read.Integer("layers", 1, 10), 6);
  EXPECT_EQ(read.Number("eps", 0, 1, 0.5), 1e-5);
  EXPECT_EQ(read.Text("act", "gelu"), "relu");
  EXPECT_TRUE(read.Flag("decoder", false));
  EXPECT_TRUE(read.status().ok()) << read.status();
}

TEST(ConfigReaderTest, AbsentAndNullFieldsTakeTheFallback) {
  const Json config = {{"layers", nullptr}, {"eps", nullptr}, {"act", nullptr}};

  ConfigReader read(config);

  EXPECT_EQ(read.Integer("layers", 1, 10, 3), 3);
  EXPECT_EQ(read.Number("eps", 0, 1, 0.5), 0.5);
  EXPECT_EQ(read.Text("act", "gelu"), "gelu");
  EXPECT_TRUE(read.Flag("decoder", true));
  EXPECT_TRUE(read.status().ok()) << read.status();
}

TEST(ConfigReaderTest, TheBoundsThemselvesAreAllowed) {
  const Json config = {{"low", 1}, {"high", 10}, {"zero", 0}, {"one", 1.0}};

  ConfigReader read(config);

  EXPECT_EQ(read.Integer("low", 1, 10), 1);
  EXPECT_EQ(read.Integer("high", 1, 10), 10);
  EXPECT_EQ(read.Number("zero", 0, 1, 0.5), 0);
  EXPECT_EQ(read.Number("one", 0, 1, 0.5), 1);
  EXPECT_TRUE(read.status().ok()) << read.status();
}

TEST(ConfigReaderTest, ARequiredFieldThatIsAbsentIsAFault) {
  const Json config = Json::object();
  ConfigReader read(config);

  read.Integer("layers", 1, 10);

  EXPECT_EQ(read.status(), InvalidArgumentError("config.json: layers is missing"));
}

TEST(ConfigReaderTest, AnIntegerOutOfRangeOrOfAnotherTypeIsAFault) {
  for (const Json& value :
       {Json(0), Json(11), Json(-1), Json(6.0), Json(6.5), Json("6"), Json(true), Json::array({6}),
        Json::object(), Json(UINT64_MAX), Json(INT64_MIN), Json(uint64_t{1} << 63)}) {
    const Json config = {{"layers", value}};
    ConfigReader read(config);

    const int64_t layers = read.Integer("layers", 1, 10);

    EXPECT_EQ(read.status(),
              InvalidArgumentError("config.json: layers must be a whole number from 1 to 10"))
        << value;
    EXPECT_GE(layers, 1) << value;
  }
}

TEST(ConfigReaderTest, ANumberOutOfRangeOrOfAnotherTypeIsAFault) {
  for (const Json& value : {Json(-1e-9), Json(1.5), Json("0.5"), Json(true), Json::array()}) {
    const Json config = {{"eps", value}};
    ConfigReader read(config);

    EXPECT_EQ(read.Number("eps", 0, 1, 0.5), 0.5) << value;

    EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument) << value;
    EXPECT_THAT(read.status().message(), HasSubstr("config.json: eps ")) << value;
  }
}

TEST(ConfigReaderTest, ATextOrFlagOfAnotherTypeIsAFault) {
  for (const Json& value : {Json(1), Json(0.5), Json::array(), Json::object()}) {
    const Json config = {{"field", value}};
    ConfigReader text(config);
    ConfigReader flag(config);

    text.Text("field", "gelu");
    flag.Flag("field", false);

    EXPECT_EQ(text.status(), InvalidArgumentError("config.json: field must be a string")) << value;
    EXPECT_EQ(flag.status(), InvalidArgumentError("config.json: field must be true or false"))
        << value;
  }
}

TEST(ConfigReaderTest, TheFirstFaultStays) {
  const Json config = {{"a", 0}, {"b", 0}};
  ConfigReader read(config);

  read.Integer("a", 1, 10);
  read.Integer("b", 1, 10);

  EXPECT_THAT(read.status().message(), HasSubstr(": a "));
}

TEST(CheckActivationTest, KnowsWhatTheEngineComputes) {
  for (const char* known : {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}) {
    EXPECT_TRUE(CheckActivation(known).ok()) << known;
  }
}

TEST(CheckActivationTest, RefusesAnyOtherAndNamesIt) {
  for (const std::string unknown : {"", "GELU", "gelu ", "tanh", "quick_gelu"}) {
    const Status status = CheckActivation(unknown);

    EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << unknown;
    EXPECT_THAT(status.message(), HasSubstr("\"" + unknown + "\"")) << unknown;
    EXPECT_THAT(status.message(), HasSubstr("gelu_new")) << unknown;
  }
}

TEST(CheckActivationTest, AnAbsurdNameIsCutInTheMessage) {
  EXPECT_LT(CheckActivation(std::string(100'000, 'x')).message().size(), 400u);
}

}  // namespace
}  // namespace graft::families
