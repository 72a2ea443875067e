#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/utf8.h"
#include "common/methods/method_spec.h"
#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParseMethodTest, EachMethodIsFoundByItsName) {
  EXPECT_THAT(MethodNames(), ElementsAre("lora", "bottleneck", "last_layers", "full"));
  for (const std::string& name : MethodNames()) {
    EXPECT_EQ(Parsed(name, Json::object())->name(), name);
  }
}

TEST(ParseMethodTest, AnUnknownMethodIsRefusedWithTheList) {
  for (const char* name : {"", "LORA", "lora ", "prefix"}) {
    const Status status = ParseMethod(name, Json::object()).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(FieldOf(status), "method") << name;
    EXPECT_EQ(ReasonOf(status), "NO_SUCH_METHOD") << name;
    EXPECT_THAT(status.message(), HasSubstr("lora, bottleneck, last_layers, full")) << name;
  }
}

TEST(ParseMethodTest, AnAbsurdNameIsCutBetweenCharacters) {
  const std::string name = std::string(79, 'x') + "\xC3\xA9" + std::string(100'000, 'y');

  const Status status = ParseMethod(name, Json::object()).status();

  EXPECT_LT(status.message().size(), 300u);
  EXPECT_EQ(FirstInvalidUtf8(status.message()), std::string::npos) << status;
}

TEST(ParseMethodTest, FieldsThatAreNoObjectAreRefused) {
  for (const std::string& name : MethodNames()) {
    for (const Json& fields : {Json(), Json(3), Json::array(), Json("rank=8")}) {
      const Status status = ParseMethod(name, fields).status();

      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name << fields;
      EXPECT_EQ(FieldOf(status), "method." + name) << fields;
    }
  }
}

TEST(ParseMethodTest, AResolvedMethodReadsBackAsItself) {
  const families::Layout layout = TinyBert();
  for (const std::string& name : MethodNames()) {
    const Json fields = name == "bottleneck" ? Json{{"size", 6}} : Json::object();
    const Method method = Resolved(name, fields, layout);

    const Method again = Resolved(name, method->ToJson(), layout);

    EXPECT_EQ(again->ToJson(), method->ToJson()) << name;
  }
}

TEST(FunctionDifferenceTest, NamesTheFieldThatComputesSomethingElse) {
  const families::Layout layout = TinyBert();
  const auto difference = [&](const std::string& name, const Json& was, const Json& is) {
    return FunctionDifference(*Resolved(name, was, layout), *Resolved(name, is, layout));
  };

  EXPECT_EQ(difference("lora", {{"alpha", 8}}, {{"alpha", 16}}),
            "its alpha is 8.0, the job's is 16.0");
  EXPECT_EQ(difference("lora", {{"rank", 4}, {"alpha", 8}}, {{"rank", 2}, {"alpha", 8}}),
            "its rank is 4, the job's is 2");
  EXPECT_EQ(difference("lora", {{"rslora", true}}, Json::object()),
            "its rslora is true, the job's is false");
  EXPECT_EQ(difference("bottleneck", {{"size", 6}, {"activation", "gelu"}}, {{"size", 6}}),
            "its activation is \"gelu\", the job's is \"silu\"");
  EXPECT_EQ(difference("bottleneck", {{"size", 6}, {"residual", false}}, {{"size", 6}}),
            "its residual is false, the job's is true");
  EXPECT_EQ(FunctionDifference(*Resolved("full", Json::object(), layout),
                               *Resolved("lora", Json::object(), layout)),
            "its method is full, the job's is lora");
}

TEST(FunctionDifferenceTest, IgnoresWhatMattersInTrainingOnly) {
  const families::Layout layout = TinyBert();
  const auto same = [&](const std::string& name, const Json& was, const Json& is) {
    EXPECT_EQ(FunctionDifference(*Resolved(name, was, layout), *Resolved(name, is, layout)), "");
  };

  for (const std::string& name : MethodNames()) {
    const Json fields = name == "bottleneck" ? Json{{"size", 6}} : Json::object();
    same(name, fields, fields);
  }
  // The tensors' names tell the targets, however these are spelt.
  same("lora", {{"dropout", 0.1}, {"target_modules", {"query", "value"}}},
       {{"target_modules", {"attention.self.query", "attention.self.value"}}});
  same("bottleneck", {{"size", 6}, {"init_std", 0.5}, {"dropout", 0.1}, {"freeze_head", true}},
       {{"size", 6}});
}

TEST(TrainableParametersTest, CountsWhatIsTrained) {
  EXPECT_EQ(TrainableParameters({}), 0);
  std::vector<TensorSpec> tensors(3);
  tensors[0].shape = {2, 3};
  tensors[1].shape = {5};
  tensors[2].shape = {7};
  tensors[2].trained = false;

  EXPECT_EQ(TrainableParameters(tensors), 11);
}

}  // namespace
}  // namespace graft::methods
