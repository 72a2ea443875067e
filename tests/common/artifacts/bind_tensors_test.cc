#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/artifacts/artifact.h"
#include "tests/common/artifacts/versions.h"

namespace graft::artifacts {
namespace {

using safetensors::DType;
using testing::AllOf;
using testing::HasSubstr;

class BindTensorsTest : public testing::Test {
 protected:
  void ExpectRefused(const Files& files, const std::string& part,
                     StatusCode code = StatusCode::kInvalidArgument) {
    const Status status = BindTensors(files, specs_).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(status.message(), AllOf(HasSubstr(kWeights), HasSubstr(part)));
  }
  Files Packed() const { return {{kWeights, Pack(tensors_)}}; }
  /// Puts a value into the first tensor's last place.
  template <typename T>
  void Plant(DType dtype, T value) {
    Tensor& tensor = tensors_[0];
    const auto count = static_cast<size_t>(tensor.shape[0] * tensor.shape[1]);
    tensor.dtype = dtype;
    tensor.data.assign(count * sizeof(T), '\0');
    tensor.data.replace(tensor.data.size() - sizeof(T), sizeof(T),
                        reinterpret_cast<const char*>(&value), sizeof(T));
  }

  const std::vector<methods::TensorSpec> specs_ = Method()->Tensors(TinyBert(), tasks::Labels(2));
  std::vector<Tensor> tensors_ = TensorsOf(*Method());
};

TEST_F(BindTensorsTest, FindsEveryTensorByItsKey) {
  const Files files = Packed();

  const auto bound = BindTensors(files, specs_);

  ASSERT_TRUE(bound.ok()) << bound.status();
  ASSERT_EQ(bound->size(), specs_.size());
  for (const BoundTensor& tensor : *bound) {
    const auto ours = std::find_if(tensors_.begin(), tensors_.end(),
                                   [&](const Tensor& t) { return t.key == tensor.spec->key; });
    ASSERT_NE(ours, tensors_.end());
    EXPECT_EQ(tensor.data, ours->data) << tensor.spec->name;
    EXPECT_EQ(tensor.dtype, "F32");
  }
}

TEST_F(BindTensorsTest, AMissingTensorIsNamed) {
  const std::string key = tensors_[1].key;
  tensors_.erase(tensors_.begin() + 1);

  ExpectRefused(Packed(), "lacks the tensor " + key);
  EXPECT_THAT(BindTensors({}, specs_).status().message(), HasSubstr("the folder has no "));
}

TEST_F(BindTensorsTest, AnExtraTensorIsNamed) {
  tensors_.push_back({"base_model.model.extra", {1}, "1234"});

  ExpectRefused(Packed(), "the tensor base_model.model.extra belongs to nothing");
}

TEST_F(BindTensorsTest, ATensorInAnotherFileIsRefused) {
  Files files = Packed();
  files["other.safetensors"] = files.extract(kWeights).mapped();

  const Status status = BindTensors(files, specs_).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("other.safetensors"), HasSubstr("belongs to nothing")));
}

TEST_F(BindTensorsTest, AWrongShapeIsNamedBesideTheRightOne) {
  Tensor& tensor = tensors_[0];
  ASSERT_EQ(tensor.shape.size(), 2u);
  const std::vector<int64_t> right = tensor.shape;
  tensor.shape = {right[1], right[0]};

  ExpectRefused(Packed(), tensor.key + " has the shape [" + std::to_string(right[1]) + ", " +
                              std::to_string(right[0]) +
                              "]; by the folder's configuration and the base it must be [" +
                              std::to_string(right[0]) + ", " + std::to_string(right[1]) + "]");
}

TEST_F(BindTensorsTest, AnotherNumberOfLabelsIsAWrongShape) {
  tensors_ = TensorsOf(*Method(), 3);

  ExpectRefused(Packed(), "it must be [2");
}

TEST_F(BindTensorsTest, ValuesThatArentFiniteAreRefused) {
  for (const uint32_t bits : {0x7F800000U, 0xFF800000U, 0x7FC00000U, 0xFFFFFFFFU}) {
    Plant(DType::kF32, bits);
    ExpectRefused(Packed(), tensors_[0].key + " holds a NaN or an infinity");
  }
  Plant(DType::kF16, uint16_t{0x7C00});
  ExpectRefused(Packed(), "holds a NaN or an infinity");
  Plant(DType::kBF16, uint16_t{0x7FC1});
  ExpectRefused(Packed(), "holds a NaN or an infinity");
  Plant(DType::kF64, uint64_t{0x7FF0000000000000});
  ExpectRefused(Packed(), "holds a NaN or an infinity");
}

TEST_F(BindTensorsTest, FloatsOfOtherWidthsAreTaken) {
  for (const auto& [dtype, name] : {std::pair{DType::kF16, "F16"}, {DType::kBF16, "BF16"}}) {
    Plant(dtype, uint16_t{0x3C00});
    const Files files = Packed();
    const auto bound = BindTensors(files, specs_);
    ASSERT_TRUE(bound.ok()) << bound.status();
    EXPECT_EQ(std::count_if(bound->begin(), bound->end(),
                            [&, expected = std::string(name)](const BoundTensor& tensor) {
                              return tensor.dtype == expected;
                            }),
              1);
  }
  Plant(DType::kF64, 1.0);
  EXPECT_TRUE(BindTensors(Packed(), specs_).ok());
}

TEST_F(BindTensorsTest, TypesThatAreNoFloatsAreRefused) {
  Plant(DType::kI32, int32_t{1});
  ExpectRefused(Packed(), "has the type I32; adapters hold F32, F16, BF16 or F64");
  Plant(DType::kF8E4M3, uint8_t{1});
  ExpectRefused(Packed(), "has the type F8_E4M3");
}

TEST_F(BindTensorsTest, ATornFileIsDataLoss) {
  Files files = Packed();
  files[kWeights].resize(files[kWeights].size() - 1);
  ExpectRefused(files, "it was cut", StatusCode::kDataLoss);
  files[kWeights].resize(4);
  ExpectRefused(files, "too short", StatusCode::kDataLoss);
}

TEST_F(BindTensorsTest, APickleUnderASafetensorsNameIsRefused) {
  ExpectRefused({{kWeights, std::string("PK\x03\x04\0\0\x08\x08", 8)}}, "pickle");
}

TEST_F(BindTensorsTest, RenamedKeysAreFoundByTheirNames) {
  const std::string key = tensors_[0].key;
  tensors_[0].key = "theirs.0";
  ExpectRefused(Packed(), "theirs.0 belongs to nothing");
  const Files files = Packed();

  const auto bound = BindTensors(files, specs_, {{"theirs.0", specs_[0].name}});

  EXPECT_TRUE(bound.ok()) << bound.status();
  EXPECT_THAT(BindTensors(files, specs_, {{"theirs.0", "no.such.tensor"}}).status().message(),
              HasSubstr("belongs to nothing"));
}

TEST_F(BindTensorsTest, TwoKeysForOneTensorAreRefused) {
  Tensor twice = tensors_[0];
  twice.key = "theirs.0";
  tensors_.push_back(twice);

  const Status status = BindTensors(Packed(), specs_, {{"theirs.0", specs_[0].name}}).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("stands twice"));
}

}  // namespace
}  // namespace graft::artifacts
