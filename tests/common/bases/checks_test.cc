/// Weights and config.json that don't belong together.

#include "common/bases/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/safetensors/safetensors.h"
#include "tests/common/families/configs.h"
#include "tests/support/must.h"

namespace graft::bases {
namespace {

using graft::testing::Must;
using ::testing::HasSubstr;

using Shapes = std::map<std::string, std::vector<int64_t>>;

Shapes ShapesOf(const families::Layout& layout) {
  Shapes shapes;
  for (const families::TensorShape& tensor : layout.tensors) shapes[tensor.name] = tensor.shape;
  return shapes;
}

/// What is said of weights of these shapes.
Status Check(const families::Layout& layout, const Shapes& shapes,
             safetensors::DType dtype = safetensors::DType::kF32) {
  const TempFolder folder = Must(TempFolder::Create());
  std::vector<safetensors::TensorToWrite> tensors;
  const std::string zeros(1 << 20, '\0');
  for (const auto& [name, shape] : shapes) {
    int64_t bytes = safetensors::DTypeBits(dtype) / 8;
    for (const int64_t size : shape) bytes *= size;
    tensors.push_back(
        {name, dtype, shape, std::string_view(zeros).substr(0, static_cast<size_t>(bytes))});
  }
  Must(WriteFileDurably(folder.path() / "model.safetensors", Must(safetensors::Write(tensors))));
  return CheckTensors(*Must(safetensors::Checkpoint::Open(folder.path())), layout);
}

families::Layout Llama(int layers) {
  return families::MustRead(
      families::With(families::TinyLlamaConfig(true), "num_hidden_layers", layers));
}

TEST(CheckTensorsTest, WeightsOfTheConfigAreTaken) {
  Shapes bare;
  for (const auto& [name, shape] : ShapesOf(Llama(2))) bare[name.substr(6)] = shape;

  EXPECT_EQ(Check(Llama(2), ShapesOf(Llama(2))), OkStatus());
  EXPECT_EQ(Check(Llama(2), bare), OkStatus());
}

TEST(CheckTensorsTest, MoreOrFewerLayersThanTheConfigSaysAreRefused) {
  const Status more = Check(Llama(2), ShapesOf(Llama(3)));
  const Status fewer = Check(Llama(3), ShapesOf(Llama(2)));

  EXPECT_EQ(more.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(more.message(),
              HasSubstr("its weights hold the tensor model.layers.2.input_layernorm.weight, which "
                        "config.json doesn't account for (it says 2 layers)"));
  EXPECT_THAT(fewer.message(), HasSubstr("its weights lack the tensor model.layers.2."));
}

TEST(CheckTensorsTest, WhatLiesBesideABodyIsLeftAside) {
  Shapes shapes = ShapesOf(Llama(2));
  shapes["score.weight"] = {3, 16};
  shapes["lm_head.weight"] = {40, 16};
  shapes["model.layers.0.self_attn.rotary_emb.inv_freq"] = {2};
  EXPECT_EQ(Check(Llama(2), shapes), OkStatus());

  shapes["model.layers.0.self_attn.q_proj.bias"] = {16};
  EXPECT_THAT(Check(Llama(2), shapes).message(), HasSubstr("self_attn.q_proj.bias, which config"));
}

TEST(CheckTensorsTest, OtherShapesAndTypesAreRefused) {
  Shapes shapes = ShapesOf(Llama(2));
  EXPECT_THAT(Check(Llama(2), shapes, safetensors::DType::kI32).message(), HasSubstr("is I32"));
  shapes["model.norm.weight"] = {4, 4};
  EXPECT_THAT(Check(Llama(2), shapes).message(),
              HasSubstr("its tensor model.norm.weight hasn't the shape that config.json implies"));
}

TEST(CheckTensorsTest, WeightsOfAWrappedModelAreNamed) {
  Shapes wrapped;
  for (const auto& [name, shape] : ShapesOf(Llama(2))) wrapped["module." + name] = shape;

  EXPECT_THAT(Check(Llama(2), wrapped).message(),
              HasSubstr("they were saved from within another module"));
}

TEST(CheckTokenizerTest, EmbeddingsMustHoldWhatATokenizerGives) {
  const auto tokenizer = Must(
      tokenizers::LoadTokenizer(std::string(GRAFT_SOURCE_DIR) + "/tests/golden/data/base-bert"));
  families::Layout layout = families::MustRead(
      families::With(families::TinyBertConfig(), "vocab_size", tokenizer->vocab_size()));

  EXPECT_EQ(CheckTokenizer(*tokenizer, layout), OkStatus());

  layout.vocab_size -= 1;
  EXPECT_THAT(CheckTokenizer(*tokenizer, layout).message(), HasSubstr("its embeddings hold"));
}

}  // namespace
}  // namespace graft::bases
