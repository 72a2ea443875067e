#include "common/methods/bottleneck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const BottleneckSpec& AsBottleneck(const Method& method) {
  return dynamic_cast<const BottleneckSpec&>(*method);
}

Json AdapterConfig(const Method& method, const families::Layout& layout) {
  return Json::parse(
      method->ConfigFiles(layout, {"base", "support", tasks::Classification({"no", "yes"})})
          .at("adapter_config.json"));
}

Json HeadConfig(const Method& method, const families::Layout& layout) {
  return Json::parse(
      method->ConfigFiles(layout, {"base", "support", tasks::Classification({"no", "yes"})})
          .at("head_config.json"));
}

TEST(BottleneckSpecTest, DefaultsAreTheProtos) {
  const Method method = Parsed("bottleneck", Json::object());

  EXPECT_EQ(method->ToJson(), Json({{"placement", "HOULSBY"},
                                    {"size", 64},
                                    {"activation", "silu"},
                                    {"init_std", 0.01},
                                    {"dropout", 0.0},
                                    {"unfreeze_base", false},
                                    {"residual", true},
                                    {"freeze_head", false}}));
  EXPECT_EQ(method->default_learning_rate(), 1e-3);
  EXPECT_EQ(method->artifact_format(), "adapterhub");
}

TEST(BottleneckSpecTest, TheActivationFollowsThePlacement) {
  EXPECT_EQ(AsBottleneck(Parsed("bottleneck", {{"placement", "PFEIFFER"}})).activation(), "relu");
  EXPECT_EQ(AsBottleneck(Parsed("bottleneck", {{"placement", "HOULSBY"}})).activation(), "silu");
  EXPECT_EQ(AsBottleneck(Parsed("bottleneck", {{"activation", "swish"}})).activation(), "silu");
}

TEST(BottleneckSpecTest, FieldsRoundTrip) {
  const Json fields = {{"placement", "HOULSBY"}, {"size", 7},          {"activation", "tanh"},
                       {"init_std", 0.5},        {"dropout", 0.25},    {"unfreeze_base", true},
                       {"residual", false},      {"freeze_head", true}};

  EXPECT_EQ(Parsed("bottleneck", fields)->ToJson(), fields);
}

TEST(BottleneckSpecTest, AnUnfrozenBaseLearnsSlowerAndIsNoAdapterHubFolder) {
  EXPECT_EQ(Parsed("bottleneck", {{"unfreeze_base", true}})->default_learning_rate(), 5e-5);
  EXPECT_EQ(Parsed("bottleneck", {{"unfreeze_base", true}})->artifact_format(), "graft");
  EXPECT_EQ(Parsed("bottleneck", {{"residual", false}})->artifact_format(), "graft");
}

TEST(BottleneckSpecTest, EachFaultNamesItsField) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"placement", "PARALLEL"},
                                     {"placement", 1},
                                     {"size", 0},
                                     {"size", -1},
                                     {"size", 65537},
                                     {"size", 1.5},
                                     {"size", "wide"},
                                     {"activation", "softmax"},
                                     {"activation", ""},
                                     {"activation", 3},
                                     {"activation", std::string(33, 'x')},
                                     {"init_std", -0.1},
                                     {"init_std", 0},
                                     {"init_std", 1.1},
                                     {"init_std", "0"},
                                     {"dropout", 1},
                                     {"dropout", -0.1},
                                     {"unfreeze_base", 1},
                                     {"residual", "no"},
                                     {"freeze_head", 0},
                                     {"head", "last-token"},
                                     {"head", "pooler:softmax"},
                                     {"leave_out", {0.5}},
                                     {"layer_sizes", {0}},
                                     {"adds_to", "norm"},
                                     {"reduction_factor", 16}}) {
    const Status status = ParseMethod("bottleneck", {{field, value}}).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
    EXPECT_EQ(FieldOf(status), std::string("method.bottleneck.") + field) << value;
  }
}

TEST(BottleneckSpecTest, WhatIsTheFamilysOrThePlacementsIsLeftOut) {
  const Method method = Resolved("bottleneck",
                                 {{"size", 6},
                                  {"head", "pooler"},
                                  {"layer_sizes", {6, 6}},
                                  {"sublayers", "both"},
                                  {"scaling", 1.0}},
                                 TinyBert());

  EXPECT_EQ(method->ToJson(), Resolved("bottleneck", {{"size", 6}}, TinyBert())->ToJson());
}

TEST(BottleneckSpecTest, AFormThatTheBaseCantHoldIsRefused) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"layer_sizes", {6}},
                                     {"layer_sizes", {6, 49}},
                                     {"leave_out", {2}},
                                     {"leave_out", {0, 1}}}) {
    EXPECT_EQ(FieldOf(Refusal("bottleneck", {{"size", 6}, {field, value}}, TinyBert())),
              std::string("method.bottleneck.") + field)
        << value;
  }
  EXPECT_EQ(FieldOf(Refusal("bottleneck", {{"size", 6}, {"head", "pooler"}}, TinyDistilBert())),
            "method.bottleneck.head");
}

TEST(BottleneckSpecTest, AnotherHeadCantBeContinuedByTheDefault) {
  const Method imported =
      Resolved("bottleneck", {{"size", 6}, {"head", "first-token:tanh"}}, TinyBert());
  const Method asked = Resolved("bottleneck", {{"size", 6}}, TinyBert());

  EXPECT_EQ(FunctionDifference(*imported, *asked),
            "its head is \"first-token:tanh\", the job's is the default");
  EXPECT_EQ(FunctionDifference(*asked, *asked), "");
}

TEST(BottleneckSpecTest, OnlyHoulsbyGoesWithoutItsResidual) {
  EXPECT_TRUE(ParseMethod("bottleneck", {{"residual", false}}).ok());
  EXPECT_EQ(
      FieldOf(ParseMethod("bottleneck", {{"placement", "PFEIFFER"}, {"residual", false}}).status()),
      "method.bottleneck.residual");
}

TEST(BottleneckSpecTest, ItIsAtMostAsWideAsTheBase) {
  EXPECT_TRUE(Refusal("bottleneck", {{"size", 48}}, TinyBert()).ok());

  const Status status = Refusal("bottleneck", {{"size", 49}}, TinyBert());

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "method.bottleneck.size");
  EXPECT_THAT(status.message(), HasSubstr("48 wide"));
}

TEST(BottleneckSpecTest, ASizeThatNoLayerHasDoesNotCount) {
  const families::Layout layout = TinyBert();
  const std::vector<int> sizes = {4, 8};
  ASSERT_EQ(static_cast<size_t>(layout.num_layers), sizes.size());
  // The default of 64 is more than the base is wide.
  EXPECT_TRUE(Refusal("bottleneck", {{"layer_sizes", sizes}}, layout).ok());
  EXPECT_FALSE(Refusal("bottleneck", {{"layer_sizes", sizes}, {"size", 49}}, layout).ok());
}

TEST(BottleneckSpecTest, NamesMayBeInAnyCase) {
  const auto status = [](Json fields) {
    return ParseMethod("bottleneck", std::move(fields)).status();
  };
  EXPECT_TRUE(status({{"activation", "ReLU"}}).ok());
  EXPECT_TRUE(status({{"head", "First-Token:Tanh"}}).ok());
  EXPECT_THAT(status({{"placement", 7}}).message(), HasSubstr("one of HOULSBY, PFEIFFER"));
}

TEST(BottleneckSpecTest, HoulsbyWrapsBothSublayersAndPfeifferTheSecond) {
  const families::Layout layout = TinyBert();
  const auto wrapped = [&](const char* placement) {
    const Method method = Parsed("bottleneck", {{"placement", placement}});
    return std::count_if(
        layout.sublayers.begin(), layout.sublayers.end(),
        [&](const auto& sublayer) { return AsBottleneck(method).Wraps(sublayer); });
  };

  EXPECT_EQ(wrapped("HOULSBY"), 4);
  EXPECT_EQ(wrapped("PFEIFFER"), 2);
  EXPECT_FALSE(AsBottleneck(Parsed("bottleneck", {{"placement", "PFEIFFER"}}))
                   .Wraps({families::SublayerKind::kAttention, 0, "", ""}));
}

TEST(BottleneckSpecTest, TensorsCarryAdapterHubsNamesShapesAndFiles) {
  const families::Layout layout = TinyBert();
  const auto all = Resolved("bottleneck", {{"size", 6}}, layout)->Tensors(layout, tasks::Labels(3));

  ExpectWellFormed(all);
  const auto tensors = ByName(all);
  EXPECT_EQ(tensors.size(), 4u * 4 + 2);
  const std::string at = "bert.encoder.layer.1.attention.output.adapters.";
  const TensorSpec& down = tensors.at(at + "adapter_down.weight");
  EXPECT_THAT(down.shape, ElementsAre(6, 48));
  EXPECT_EQ(down.key, at + "graft.adapter_down.0.weight");
  EXPECT_EQ(down.file, "adapter.safetensors");
  EXPECT_EQ(down.layer, 1);
  EXPECT_TRUE(down.decay);
  EXPECT_THAT(tensors.at(at + "adapter_down.bias").shape, ElementsAre(6));
  EXPECT_FALSE(tensors.at(at + "adapter_down.bias").decay);
  EXPECT_THAT(tensors.at(at + "adapter_up.weight").shape, ElementsAre(48, 6));
  EXPECT_EQ(tensors.at(at + "adapter_up.weight").key, at + "graft.adapter_up.weight");
  EXPECT_THAT(tensors.at(at + "adapter_up.bias").shape, ElementsAre(48));
  const TensorSpec& head = tensors.at("classifier.weight");
  EXPECT_THAT(head.shape, ElementsAre(3, 48));
  EXPECT_EQ(head.key, "heads.graft.1.weight");
  EXPECT_EQ(head.file, "model_head.safetensors");
  EXPECT_TRUE(head.trained);
}

TEST(BottleneckSpecTest, AHeadOfTwoLayersStandsAtAdapterHubsPositions) {
  const families::Layout layout = TinyDistilBert();
  const auto tensors =
      ByName(Resolved("bottleneck", Json{{"size", 6}}, layout)->Tensors(layout, tasks::Labels(3)));

  EXPECT_EQ(tensors.at("pre_classifier.weight").key, "heads.graft.1.weight");
  EXPECT_EQ(tensors.at("classifier.weight").key, "heads.graft.4.weight");
  EXPECT_EQ(tensors.at("classifier.bias").key, "heads.graft.4.bias");
}

// By hand, D width, m size, L layers: each adapter holds 2 * m * D + m + D; Houlsby has 2 * L,
// Pfeiffer L. The sums are what adapters 1.3.0 counts as trainable, with a head for two labels.
TEST(BottleneckSpecTest, TrainableParametersAreAdapterHubs) {
  const Json houlsby = {{"size", 32}};
  const Json pfeiffer = {{"placement", "PFEIFFER"}, {"size", 48}};

  EXPECT_EQ(Trainable("bottleneck", houlsby, MiniLm(), 2), 299'904 + 770);
  EXPECT_EQ(Trainable("bottleneck", pfeiffer, MiniLm(), 2), 223'776 + 770);
  EXPECT_EQ(Trainable("bottleneck", houlsby, DistilBertBase(), 2), 599'424 + 592'130);
  EXPECT_EQ(Trainable("bottleneck", pfeiffer, DistilBertBase(), 2), 447'264 + 592'130);
  // The paper's BERT-base with m = 64: 24 * 99,136.
  const families::Layout base = families::MustRead(families::BertBaseConfig());
  EXPECT_EQ(Trainable("bottleneck", Json::object(), base, 2), 2'379'264 + 1'538);
}

TEST(BottleneckSpecTest, AFrozenHeadIsStoredButNotTrained) {
  const families::Layout layout = TinyDistilBert();
  const Method method = Resolved("bottleneck", {{"size", 6}, {"freeze_head", true}}, layout);

  const auto all = method->Tensors(layout, tasks::Labels(2));

  EXPECT_FALSE(ByName(all).at("classifier.weight").trained);
  EXPECT_FALSE(ByName(all).at("pre_classifier.bias").trained);
  EXPECT_EQ(TrainableParameters(all), 4 * (2 * 6 * 48 + 6 + 48));
}

TEST(BottleneckSpecTest, AnUnfrozenBaseIsAnOverlayOfEveryTensor) {
  const families::Layout layout = TinyBert();
  const Method method = Resolved("bottleneck", {{"size", 6}, {"unfreeze_base", true}}, layout);

  const auto all = method->Tensors(layout, tasks::Labels(2));

  ExpectWellFormed(all);
  std::set<std::string> overlay;
  for (const TensorSpec& tensor : all) {
    EXPECT_EQ(tensor.overrides_base, tensor.file == "base_overrides.safetensors") << tensor.name;
    if (!tensor.overrides_base) continue;
    EXPECT_EQ(tensor.key, tensor.name);
    overlay.insert(tensor.name);
  }
  std::set<std::string> base;
  for (const families::TensorShape& tensor : layout.tensors) base.insert(tensor.name);
  EXPECT_EQ(overlay, base);
  EXPECT_EQ(TrainableParameters(all), 43'936 + 4 * (2 * 6 * 48 + 6 + 48) + 2 * 48 + 2);
}

TEST(BottleneckSpecTest, ConfigFileIsThePresetThatAdapterHubCallsIt) {
  const families::Layout layout = TinyBert();
  const Json houlsby = AdapterConfig(Resolved("bottleneck", {{"size", 6}}, layout), layout);
  const Json pfeiffer = AdapterConfig(
      Resolved("bottleneck", {{"placement", "PFEIFFER"}, {"size", 6}, {"dropout", 0.5}}, layout),
      layout);

  EXPECT_EQ(houlsby["model_type"], "bert");
  EXPECT_EQ(houlsby["model_class"], "BertAdapterModel");
  EXPECT_EQ(houlsby["model_name"], "base");
  EXPECT_EQ(houlsby["hidden_size"], 48);
  EXPECT_EQ(houlsby["name"], "graft");
  EXPECT_TRUE(houlsby["version"].get<std::string>().starts_with("adapters."));
  EXPECT_EQ(houlsby["config"]["mh_adapter"], true);
  EXPECT_EQ(houlsby["config"]["output_adapter"], true);
  EXPECT_EQ(houlsby["config"]["original_ln_before"], false);
  EXPECT_EQ(houlsby["config"]["non_linearity"], "swish");
  EXPECT_EQ(houlsby["config"]["reduction_factor"], 8.0);
  EXPECT_EQ(pfeiffer["config"]["mh_adapter"], false);
  EXPECT_EQ(pfeiffer["config"]["original_ln_before"], true);
  EXPECT_EQ(pfeiffer["config"]["non_linearity"], "relu");
  EXPECT_EQ(pfeiffer["config"]["dropout"], 0.5);
}

TEST(BottleneckSpecTest, ScalingIsWrittenAsAFloat) {
  // AdapterHub raises "Unknown scaling type" for the integer 1.
  const families::Layout layout = TinyBert();
  const auto files = Resolved("bottleneck", {{"size", 6}}, layout)->ConfigFiles(layout, {});

  EXPECT_THAT(files.at("adapter_config.json"), HasSubstr("\"scaling\": 1.0"));
}

/// a // b of two positive floats in Python (float_floor_div in CPython's floatobject.c), which
/// isn't floor(a / b): the quotient may round up to a whole number that the true one doesn't reach.
int64_t PythonFloorDivision(double a, double b) {
  const double whole = (a - std::fmod(a, b)) / b;
  double floored = std::floor(whole);
  if (whole - floored > 0.5) floored += 1;
  return static_cast<int64_t>(floored);
}

// AdapterHub computes the width as int(hidden // reduction_factor). adapters 1.3.0 made 12 of
// 384 / 13 and 14 of 384 / 15, and then refused the file's 13 and 15 rows.
TEST(BottleneckSpecTest, TheReductionFactorGivesTheSizeBackInPython) {
  ASSERT_EQ(PythonFloorDivision(384, 384.0 / 13), 12);
  for (const int64_t hidden : {48, 384, 768, 1000}) {
    Json config = families::TinyBertConfig();
    config["hidden_size"] = hidden;
    const families::Layout layout = families::MustRead(config);
    for (int64_t size = 1; size <= hidden; ++size) {
      const Method method = Resolved("bottleneck", {{"size", size}}, layout);

      const double factor =
          AdapterConfig(method, layout)["config"]["reduction_factor"].get<double>();

      ASSERT_EQ(PythonFloorDivision(static_cast<double>(hidden), factor), size) << hidden;
      ASSERT_NEAR(factor, static_cast<double>(hidden) / static_cast<double>(size), 1e-6);
    }
  }
}

TEST(BottleneckSpecTest, TheHeadsFileSaysWhatTheHeadIs) {
  const families::Layout bert = TinyBert();
  const families::Layout distilbert = TinyDistilBert();
  const families::Layout no_pooler = families::MustRead(families::TinyBertConfig(), {});
  const auto config = [](const families::Layout& layout) {
    return HeadConfig(Resolved("bottleneck", {{"size", 6}}, layout), layout)["config"];
  };

  EXPECT_EQ(config(bert), Json({{"head_type", "classification"},
                                {"num_labels", 2},
                                {"layers", 1},
                                {"activation_function", "tanh"},
                                {"label2id", {{"no", 0}, {"yes", 1}}},
                                {"use_pooler", true},
                                {"bias", true},
                                {"dropout_prob", nullptr}}));
  EXPECT_EQ(config(distilbert)["layers"], 2);
  EXPECT_EQ(config(distilbert)["activation_function"], "relu");
  EXPECT_EQ(config(distilbert)["use_pooler"], false);
  EXPECT_EQ(config(no_pooler)["layers"], 2);
  EXPECT_EQ(config(no_pooler)["activation_function"], "tanh");
  EXPECT_EQ(config(no_pooler)["use_pooler"], false);
}

}  // namespace
}  // namespace graft::methods
