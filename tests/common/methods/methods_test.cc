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
