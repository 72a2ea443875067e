// A version merged into its base: each weight by the formula, in the base's types; what can't be
// merged is refused. tests/integration/foreign_decoders_test.py asks transformers for the logits.

#include "common/artifacts/merged.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/artifacts/floats.h"
#include "common/base/file.h"
#include "tests/common/artifacts/versions.h"

namespace graft::artifacts {
namespace {

using testing::HasSubstr;

class MergedTest : public testing::Test {
 protected:
  MergedTest() : layout_(families::MustRead(families::TinyLlamaConfig(false), {"lm_head.weight"})) {
    std::vector<Tensor> tensors;
    for (const families::TensorShape& shape : layout_.tensors) {
      int64_t count = 1;
      for (const int64_t size : shape.shape) count *= size;
      std::vector<float> values;
      for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>((i * 7) % 19) / 16);
      const bool narrow = shape.name.find("v_proj") != std::string::npos;
      tensors.push_back({shape.name, shape.shape, *FromFloats(narrow ? "BF16" : "F32", values),
                         narrow ? safetensors::DType::kBF16 : safetensors::DType::kF32});
      base_[shape.name] = values;
    }
    std::ofstream(folder_.path() / "model.safetensors", std::ios::binary) << Pack(tensors);
  }

  /// A version of this method whose tensors count in quarters, sealed.
  Files Version(const std::string& method, const Json& fields, const tasks::TaskSpec& task) {
    identity_ = {.base_fingerprint = Sha256Hex("base"),
                 .method = *(*methods::ParseMethod(method, fields))->Resolve(layout_),
                 .task = task,
                 .max_length = 32,
                 .tokenizer = Sha256Hex("tokenizer"),
                 .precision = "fp32"};
    std::map<std::string, std::vector<Tensor>> by_file;
    for (const auto& spec : identity_.method->Tensors(layout_, task)) {
      int64_t count = 1;
      for (const int64_t size : spec.shape) count *= size;
      std::vector<float> values;
      for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i % 5) / 4 - 0.5F);
      trained_[spec.name] = values;
      by_file[spec.file].push_back({spec.key, spec.shape, *FromFloats("F32", values)});
    }
    Files files;
    for (const auto& [file, tensors] : by_file) files[file] = Pack(tensors);
    Seal(identity_, TinyRecord(), files);
    return files;
  }

  StatusOr<std::unique_ptr<MergedWeights>> Plan(Files files) {
    const auto manifest = Open(files, layout_);
    EXPECT_TRUE(manifest.ok()) << manifest.status();
    return MergedWeights::Plan(*safetensors::Checkpoint::Open(folder_.path()), layout_, *manifest,
                               std::move(files));
  }

  /// The merged file's tensors as fp32, with their types.
  std::map<std::string, std::pair<std::string, std::vector<float>>> Merged(Files files) {
    auto merged = Plan(std::move(files));
    EXPECT_TRUE(merged.ok()) << merged.status();
    file_.clear();
    while (merged.ok()) {
      auto piece = (*merged)->Next();
      EXPECT_TRUE(piece.ok()) << piece.status();
      if (!piece.ok() || piece->empty()) break;
      file_ += *piece;
    }
    std::map<std::string, std::pair<std::string, std::vector<float>>> tensors;
    const auto view = safetensors::View::Parse(file_, "merged");
    EXPECT_TRUE(view.ok()) << view.status();
    for (const auto& tensor : view->tensors()) {
      const std::string dtype(safetensors::DTypeName(tensor.dtype));
      tensors[std::string(tensor.name)] = {dtype, *ToFloats(dtype, tensor.data)};
    }
    return tensors;
  }

  const tasks::TaskSpec language_ = {.kind = tasks::Kind::kCausalLanguageModeling,
                                     .label_names = {}};
  TempFolder folder_ = TempFolder::Create().value();
  families::Layout layout_;
  Identity identity_;
  std::map<std::string, std::vector<float>> base_, trained_;
  std::string file_;
};

TEST_F(MergedTest, LoraIsAddedWithItsScalingInTheBasesType) {
  const auto merged = Merged(Version(
      "lora", {{"rank", 2}, {"alpha", 6}, {"target_modules", {"v_proj", "up_proj"}}}, language_));

  ASSERT_EQ(merged.size(), layout_.tensors.size());
  for (const auto& [name, values] : base_) {
    const std::string path = name.substr(0, name.rfind('.'));
    std::vector<float> wanted = values;
    if (const auto a = trained_.find(path + ".lora_A.weight"); a != trained_.end()) {
      const std::vector<float>& b = trained_.at(path + ".lora_B.weight");
      const size_t in = a->second.size() / 2;
      for (size_t i = 0; i < wanted.size(); ++i) {
        const size_t o = i / in, k = i % in;
        wanted[i] += 3 * (b[o * 2] * a->second[k] + b[o * 2 + 1] * a->second[in + k]);
      }
      EXPECT_NE(wanted, values) << name;
    }
    const auto& [dtype, actual] = merged.at(name);
    EXPECT_EQ(dtype, name.find("v_proj") != std::string::npos ? "BF16" : "F32");
    EXPECT_EQ(actual, *ToFloats(dtype, *FromFloats(dtype, wanted))) << name;
  }
}

TEST_F(MergedTest, ReplacedTensorsAreTheVersionsAndAClassifierHasItsHead) {
  const auto merged =
      Merged(Version("last_layers", {{"num_layers", 1}}, tasks::Classification({"no", "yes"})));

  EXPECT_EQ(merged.at("model.layers.1.self_attn.q_proj.weight").second,
            trained_.at("model.layers.1.self_attn.q_proj.weight"));
  EXPECT_EQ(merged.at("model.layers.0.self_attn.q_proj.weight").second,
            base_.at("model.layers.0.self_attn.q_proj.weight"));
  EXPECT_EQ(merged.at("score.weight").second, trained_.at("score.weight"));
  EXPECT_FALSE(merged.contains("lm_head.weight"));
}

TEST_F(MergedTest, WhatHasLayersOfItsOwnIsRefused) {
  const std::vector<Json> options = {Json::object(),
                                     {{"placement", "PFEIFFER"}},
                                     {{"residual", false}},
                                     {{"unfreeze_base", true}},
                                     {{"residual", false}, {"unfreeze_base", true}},
                                     {{"placement", "PFEIFFER"}, {"unfreeze_base", true}},
                                     {{"parallel", true}},
                                     {{"norm_after", false}},
                                     {{"trained_scaling", "channel"}},
                                     {{"leave_out", {0}}},
                                     {{"freeze_head", true}}};
  for (Json fields : options) {
    fields["size"] = 4;
    for (const tasks::TaskSpec& task : {language_, tasks::Classification({"no", "yes"})}) {
      const auto merged = Plan(Version("bottleneck", fields, task));

      ASSERT_EQ(merged.status().code(), StatusCode::kFailedPrecondition) << fields;
      EXPECT_THAT(merged.status().message(), HasSubstr("bottleneck, has layers of its own"));
    }
  }
}

TEST_F(MergedTest, WhatChangesWeightsAloneIsMerged) {
  const std::vector<std::pair<std::string, Json>> methods = {
      {"lora", Json::object()},
      {"lora", {{"rslora", true}, {"bias", "all"}, {"dropout", 0.1}}},
      {"lora", {{"modules_to_save", {"embed_tokens"}}, {"rank_pattern", {{"v_proj", 2}}}}},
      {"last_layers", Json::object()},
      {"last_layers", {{"num_layers", 2}}},
      {"full", Json::object()},
  };
  std::set<std::string> seen = {"bottleneck"};
  for (const auto& [method, fields] : methods) {
    seen.insert(method);
    for (const tasks::TaskSpec& task : {language_, tasks::Classification({"no", "yes"})}) {
      if (task.kind == language_.kind && fields == Json::object() && method == "last_layers")
        continue;  // Without a head there is nothing that it trains.
      const auto merged = Merged(Version(method, fields, task));

      std::set<std::string> names, wanted;
      for (const auto& [name, tensor] : merged) names.insert(name);
      for (const auto& [name, values] : base_) wanted.insert(name);
      if (task.kind != language_.kind) {
        wanted.erase("lm_head.weight");
        wanted.insert("score.weight");
      }
      EXPECT_EQ(names, wanted) << method << " " << fields;
    }
  }
  const std::vector<std::string> all = methods::MethodNames();
  EXPECT_EQ(seen, std::set<std::string>(all.begin(), all.end())) << "each is merged or refused";
}

TEST_F(MergedTest, ARopeOfTransformers5IsSaidAs4ReadsItToo) {
  const Json yarn = {{"rope_type", "yarn"}, {"factor", 2.0}};
  Json base = families::TinyLlamaConfig(false);
  base["rope_parameters"] = yarn;
  base["rope_parameters"]["rope_theta"] = 500.0;
  base["use_cache"] = true;
  const families::Layout layout = families::MustRead(base);

  const auto text = MergedConfig(base.dump(), layout, language_);

  ASSERT_TRUE(text.ok()) << text.status();
  const Json merged = Json::parse(*text);
  EXPECT_EQ(merged["rope_theta"], 500.0);
  EXPECT_EQ(merged["rope_scaling"], yarn);
  EXPECT_FALSE(merged.contains("rope_parameters"));
  EXPECT_EQ(merged["use_cache"], true) << "else it is the base's own";
  EXPECT_EQ(families::MustRead(merged).fingerprint_config, layout.fingerprint_config);
}

TEST_F(MergedTest, TheConfigIsTheBasesForTheTask) {
  const std::string base = R"({"model_type": "llama", "rope_theta": 5, "num_labels": 7})";
  const auto language = MergedConfig(base, layout_, language_);
  ASSERT_TRUE(language.ok()) << language.status();
  EXPECT_EQ(Json::parse(*language)["architectures"], Json::array({"LlamaForCausalLM"}));
  EXPECT_EQ(Json::parse(*language)["rope_theta"], 5);

  const auto labels = MergedConfig(base, layout_, tasks::Classification({"no", "yes"}));
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(Json::parse(*labels)["id2label"], Json({{"0", "no"}, {"1", "yes"}}));
  EXPECT_FALSE(Json::parse(*labels).contains("num_labels"));
}

}  // namespace
}  // namespace graft::artifacts
