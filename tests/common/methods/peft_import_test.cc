// What PEFT saves at its defaults and options: which modules a folder adapts, which tensors of the
// base it replaces, and what its older versions and wrappers made of the names.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "common/methods/lora.h"
#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using testing::HasSubstr;

constexpr const char* kLayer0 = "bert.encoder.layer.0.";

/// The keys and shapes of a folder that holds what these fields make of the layout.
Shapes ShapesOf(const Json& fields, const families::Layout& layout, int64_t num_labels = 2) {
  Shapes shapes;
  for (const TensorSpec& tensor :
       Resolved("lora", fields, layout)->Tensors(layout, tasks::Labels(num_labels)))
    shapes[tensor.key] = tensor.shape;
  return shapes;
}

Json Config(const Json& changes) {
  Json config = {{"peft_type", "LORA"},
                 {"task_type", "SEQ_CLS"},
                 {"r", 4},
                 {"lora_alpha", 8},
                 {"modules_to_save", {"classifier", "score"}},
                 {"target_modules", {"query", "value"}}};
  if (!changes.is_null()) config.update(changes);
  return config;
}

StatusOr<ImportedMethod> ImportFolder(const Json& changes, const Shapes& shapes,
                                      const families::Layout& layout = TinyBert()) {
  return ImportMethod({{"adapter_config.json", Config(changes).dump()}}, shapes, layout);
}

/// Expects the folder to become what `fields` make of the layout.
void ExpectReadAs(const Json& changes, const Json& fields,
                  const families::Layout& layout = TinyBert()) {
  const Method wanted = Resolved("lora", fields, layout);
  const auto imported = ImportFolder(changes, ShapesOf(fields, layout), layout);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->method->FunctionJson()["rank"], wanted->FunctionJson()["rank"]);
  const auto read = ByName(imported->method->Tensors(layout, tasks::Labels(2)));
  const auto ours = ByName(wanted->Tensors(layout, tasks::Labels(2)));
  ASSERT_EQ(read.size(), ours.size());
  for (const auto& [name, tensor] : ours) {
    ASSERT_TRUE(read.contains(name)) << name;
    EXPECT_EQ(read.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(read.at(name).overrides_base, tensor.overrides_base) << name;
    EXPECT_EQ(imported->renamed_keys.at(tensor.key), name);
  }
  EXPECT_EQ(imported->head_outputs, 2);
}

void ExpectRefused(const Json& changes, const Shapes& shapes, const std::string& part,
                   const families::Layout& layout = TinyBert()) {
  const Status status = ImportFolder(changes, shapes, layout).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message(), HasSubstr(part));
}

Json With4(Json fields) {
  fields["rank"] = 4;
  return fields;
}

TEST(PeftImportTest, DistilBertsDefaultHoldsItsWholeHead) {
  // PEFT's "classifier" also ends "pre_classifier".
  ExpectReadAs({{"target_modules", {"q_lin", "v_lin"}}},
               With4({{"target_modules", {"q_lin", "v_lin"}}}), TinyDistilBert());
}

TEST(PeftImportTest, AllLinearAdaptsThePooler) {
  Json paths = Json::array();
  for (const families::Linear& linear : LoraSpec::Adaptable(TinyBert()))
    paths.push_back(linear.path);
  ASSERT_EQ(paths.back(), "bert.pooler.dense");

  ExpectReadAs({{"target_modules", paths}}, With4({{"target_modules", paths}}));
  ExpectReadAs({{"target_modules", "all-linear"}}, With4({{"target_modules", paths}}));
  ExpectReadAs({{"target_modules", {"dense"}}}, With4({{"target_modules", {"dense"}}}));
}

TEST(PeftImportTest, SavedModulesReplaceTheBases) {
  ExpectReadAs({{"modules_to_save", {"classifier", "pooler"}}},
               With4({{"modules_to_save", {"pooler"}}}));
  ExpectReadAs({{"modules_to_save", {"LayerNorm", "classifier", "score"}}},
               With4({{"modules_to_save", {"LayerNorm"}}}));
  // A module that is saved whole isn't adapted.
  ExpectReadAs({{"modules_to_save", {"query", "classifier"}}},
               With4({{"target_modules", {"value"}}, {"modules_to_save", {"query"}}}));
}

TEST(PeftImportTest, BiasesReplaceTheBases) {
  ExpectReadAs({{"bias", "all"}}, With4({{"bias", "all"}}));
  ExpectReadAs({{"bias", "lora_only"}}, With4({{"bias", "lora_only"}}));
  const auto tensors = ByName(
      Resolved("lora", {{"bias", "lora_only"}}, TinyBert())->Tensors(TinyBert(), tasks::Labels(2)));
  const std::string query = std::string(kLayer0) + "attention.self.query";
  EXPECT_EQ(tensors.at(query + ".bias").key, "base_model.model." + query + ".base_layer.bias");
  EXPECT_FALSE(tensors.contains(std::string(kLayer0) + "attention.self.key.bias"));
}

TEST(PeftImportTest, RulesNameModulesAsPeftsDo) {
  const auto paths = [](std::initializer_list<int> layers, const char* name) {
    Json list = Json::array();
    for (const int layer : layers)
      list.push_back("bert.encoder.layer." + std::to_string(layer) + ".attention.self." + name);
    return With4({{"target_modules", list}});
  };
  ExpectReadAs({{"target_modules", R"(.*\.query)"}}, paths({0, 1}, "query"));
  ExpectReadAs({{"target_modules", R"(bert\.encoder\.layer\.[02]\..*key)"}}, paths({0}, "key"));
  ExpectReadAs({{"target_modules", {"query"}}, {"layers_to_transform", {0, 2}}},
               paths({0}, "query"));
  ExpectReadAs({{"target_modules", {"query"}}, {"layers_to_transform", 1}}, paths({1}, "query"));
  ExpectReadAs(
      {{"target_modules", {"query"}}, {"layers_to_transform", {1}}, {"layers_pattern", "layer"}},
      paths({1}, "query"));
  ExpectReadAs(
      {{"target_modules", {"query"}}, {"exclude_modules", {"layer.1.attention.self.query"}}},
      paths({0}, "query"));
  ExpectReadAs({{"target_modules", {"query"}}, {"exclude_modules", R"(.*\.[12]\..*)"}},
               paths({0}, "query"));
  // Names that this base lacks do no harm in PEFT.
  ExpectReadAs({{"target_modules", {"query", "q_proj"}}}, paths({0, 1}, "query"));
}

TEST(PeftImportTest, ARuleAndAFileThatDisagreeAreRefusedWithTheModule) {
  const Shapes both = ShapesOf({{"rank", 4}}, TinyBert());
  ExpectRefused({{"target_modules", {"query"}}}, both,
                "layer.0.attention.self.value isn't adapted, but");
  ExpectRefused({{"target_modules", {"query", "value", "key"}}}, both,
                "layer.0.attention.self.key is adapted, but");
  ExpectRefused({{"layers_to_transform", {0}}}, both, "layer.1.attention.self.query isn't adapted");
  ExpectRefused(
      {{"modules_to_save", {"classifier", "pooler"}}}, both,
      "modules_to_save names \"pooler\", but adapter_model.safetensors lacks bert.pooler");
}

TEST(PeftImportTest, PatternsGiveModulesTheirOwnRankAndAlpha) {
  const Json fields = With4({{"rank_pattern", {{"value", 2}}}});
  const auto imported = ImportFolder({{"rank_pattern", {{"value", 2}, {"nothing", 7}}},
                                      {"alpha_pattern", {{R"(layer\.[12]\..*query)", 16}}}},
                                     ShapesOf(fields, TinyBert()));

  ASSERT_TRUE(imported.ok()) << imported.status();
  const auto& lora = dynamic_cast<const LoraSpec&>(*imported->method);
  EXPECT_EQ(lora.RankOf("bert.encoder.layer.1.attention.self.value"), 2);
  EXPECT_EQ(lora.ScalingOf("bert.encoder.layer.1.attention.self.value"), 4);
  EXPECT_EQ(lora.ScalingOf("bert.encoder.layer.0.attention.self.query"), 2);
  EXPECT_EQ(lora.ScalingOf("bert.encoder.layer.1.attention.self.query"), 4);
}

TEST(PeftImportTest, TheFirstPatternInTheFileWins) {
  const Json config = Config({});
  std::string text = config.dump();
  text.insert(1, R"("alpha_pattern":{"self.query":32,"query":16},)");

  const auto imported = ImportMethod({{"adapter_config.json", text}},
                                     ShapesOf({{"rank", 4}}, TinyBert()), TinyBert());

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(dynamic_cast<const LoraSpec&>(*imported->method)
                .ScalingOf("bert.encoder.layer.1.attention.self.query"),
            8);
}

TEST(PeftImportTest, NamesOfOlderVersionsAndWrappersAreRead) {
  const Shapes good = ShapesOf({{"rank", 4}}, TinyBert());
  const auto renamed = [&](const std::string& from, const std::string& to) {
    Shapes shapes;
    for (const auto& [key, shape] : good) {
      std::string name = key;
      if (const size_t at = name.find(from); at != std::string::npos)
        name.replace(at, from.size(), to);
      shapes[name] = shape;
    }
    EXPECT_NE(shapes, good) << from;
    return shapes;
  };
  for (const auto& [from, to] : {std::pair{"base_model.model.", ""},
                                 {"base_model.model.", "base_model.model.base_model.model."},
                                 {"base_model.model.", "base_model.model._orig_mod."},
                                 {"base_model.model.", "module.base_model.model."},
                                 {"lora_A.", "lora_A.default."},
                                 {"lora_B.", "lora_B.mine."},
                                 {"classifier.", "classifier.modules_to_save."},
                                 {"classifier.", "classifier.modules_to_save.default."}}) {
    const auto imported = ImportFolder({}, renamed(from, to));
    ASSERT_TRUE(imported.ok()) << to << ": " << imported.status();
    for (const TensorSpec& tensor : imported->method->Tensors(TinyBert(), tasks::Labels(2))) {
      const bool found =
          std::any_of(imported->renamed_keys.begin(), imported->renamed_keys.end(),
                      [&](const auto& entry) { return entry.second == tensor.name; });
      EXPECT_TRUE(found) << to << ": " << tensor.name;
    }
  }
}

TEST(PeftImportTest, CopiesBesideWhatIsLoadedArePassedOver) {
  Shapes shapes = ShapesOf({{"rank", 4}}, TinyBert());
  shapes["base_model.model.classifier.original_module.bias"] = {2};
  shapes["base_model.model.classifier.modules_to_save.bias"] = {2};

  const auto imported = ImportFolder({}, shapes);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->renamed_keys.at("base_model.model.classifier.original_module.bias"), "");
  EXPECT_EQ(imported->renamed_keys.at("base_model.model.classifier.modules_to_save.bias"), "");
}

TEST(PeftImportTest, WhatIsntBuiltIsNamed) {
  const Shapes good = ShapesOf({{"rank", 4}}, TinyBert());
  const std::string query = "base_model.model.bert.encoder.layer.0.attention.self.query.";
  const auto with = [&](const std::string& key, const std::vector<int64_t>& shape) {
    Shapes shapes = good;
    shapes[key] = shape;
    return shapes;
  };
  ExpectRefused({}, with(query + "lora_magnitude_vector", {48}), "DoRA");
  ExpectRefused({}, with(query + "lora_B.bias", {48}), "lora_bias");
  ExpectRefused({}, with(query + "base_layer.weight", {48, 48}), "whole model's state");
  const std::string words = "base_model.model.bert.embeddings.word_embeddings.";
  Shapes embeddings = with(words + "base_layer.weight", {97, 48});
  embeddings[words + "lora_embedding_A"] = {4, 97};
  ExpectRefused({}, embeddings, "adapts an embedding");
  ExpectRefused({},
                with("base_model.model.bert.embeddings.word_embeddings.lora_embedding_A", {4, 9}),
                "adapts an embedding");
  ExpectRefused({}, with("base_model.model.classifier.lora_A.weight", {4, 48}),
                "adapts the head's");
  ExpectRefused({}, with(query + "lora_A.weight", {0}), "DeepSpeed ZeRO-3");
  ExpectRefused({{"task_type", "FEATURE_EXTRACTION"}}, good, "without a classification head");
  Shapes headless = good;
  headless.erase("base_model.model.classifier.weight");
  ExpectRefused({{"task_type", nullptr}}, headless, "lacks the head's classifier.weight");
}

TEST(PeftImportTest, GraftReadsWhatItWritesOfEachOption) {
  for (const Json& fields :
       {Json{{"bias", "all"}}, Json{{"bias", "lora_only"}, {"target_modules", {"dense"}}},
        Json{{"modules_to_save", {"bert.pooler"}}, {"rank_pattern", {{"query", 3}}}},
        Json{{"modules_to_save", {"bert.encoder.layer.0.output.LayerNorm"}},
             {"alpha_pattern", {{"bert.encoder.layer.1.attention.self.query", 2.5}}}}}) {
    const Method method = Resolved("lora", fields, TinyBert());
    const auto imported =
        ImportMethod(method->ConfigFiles(TinyBert(), {"b", "a", tasks::Classification({"x", "y"})}),
                     ShapesOf(fields, TinyBert()), TinyBert());
    ASSERT_TRUE(imported.ok()) << fields << imported.status();
    const auto ours = method->Tensors(TinyBert(), tasks::Labels(2));
    const auto read = imported->method->Tensors(TinyBert(), tasks::Labels(2));
    ASSERT_EQ(read.size(), ours.size()) << fields;
    for (size_t i = 0; i < ours.size(); ++i) EXPECT_EQ(read[i].key, ours[i].key);
  }
}

TEST(PeftImportTest, AbsentOptionsLeaveTheStoredFormAsItWas) {
  EXPECT_EQ(Resolved("lora", Json::object(), TinyBert())->ToJson().size(), 5u);
}

TEST(PeftImportTest, AConfigThatWouldTakeForeverIsRefused) {
  const Shapes shapes = ShapesOf({{"rank", 4}}, TinyBert());
  Json many = Json::array();
  Json ranks = Json::object();
  Json large = Json::object();
  for (int i = 0; i < 4000; ++i) {
    many.push_back("(.{0,20}){30}" + std::to_string(i));
    ranks["(a{50}){60}" + std::to_string(i)] = 4;
  }
  for (int i = 0; i < 5000; ++i) large["key" + std::to_string(i)] = i;
  for (const auto& [field, value, words] :
       {std::tuple("modules_to_save", many, "too large together"),
        std::tuple("rank_pattern", ranks, "too large together"),
        std::tuple("eva_config", large, "more than 4096 entries")}) {
    const Status status = ImportFolder({{field, value}}, shapes).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(status.message(), HasSubstr(words)) << field;
  }
}

TEST(PeftImportTest, AModuleSavedWithinAnotherIsRefused) {
  Shapes shapes = ShapesOf({{"rank", 4}}, TinyBert());
  const std::string embeddings = "base_model.model.bert.embeddings.";
  for (const char* name : {"word_embeddings.weight", "word_embeddings.modules_to_save.weight",
                           "modules_to_save.default.word_embeddings.weight"}) {
    shapes[embeddings + name] = {97, 48};
  }

  const Status status =
      ImportFolder({{"modules_to_save", {"classifier", "embeddings"}}}, shapes).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("a module and one within it"));
}

}  // namespace
}  // namespace graft::methods
