/// modules_to_save: what may stand there, and what PEFT is told.

#include "common/methods/saved_modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const tasks::TaskSpec kLanguage = {.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}};

families::Layout Llama(bool tied) {
  return families::MustRead(families::TinyLlamaConfig(tied), {"lm_head.weight"});
}

/// modules_to_save of the exported adapter_config.json.
Json Exported(const std::vector<std::string>& names, const families::Layout& layout,
              const tasks::TaskSpec& task = kLanguage) {
  const Method method = Resolved("lora", {{"modules_to_save", names}}, layout);
  return Json::parse(method->ConfigFiles(layout, {"base", "adapter", task})
                         .at("adapter_config.json"))["modules_to_save"];
}

/// Expects that PEFT saves what graft does, by its rule: paths' ends, and none within another.
void ExpectPeftSavesTheSame(const Json& names, const std::vector<std::string>& modules,
                            const families::Layout& layout) {
  const auto method = Resolved("lora", {{"modules_to_save", modules}}, layout);
  std::set<std::string> ours, theirs;
  for (const TensorSpec& tensor : method->Tensors(layout, kLanguage)) {
    if (tensor.overrides_base) ours.insert(tensor.name);
  }
  for (const families::TensorShape& tensor : layout.tensors) {
    std::set<std::string> around;
    for (size_t dot = tensor.name.find('.'); dot != std::string::npos;
         dot = tensor.name.find('.', dot + 1)) {
      const std::string module = tensor.name.substr(0, dot);
      for (const Json& name : names) {
        if (module.ends_with(name.get<std::string>())) around.insert(module);
      }
    }
    if (!around.empty()) theirs.insert(tensor.name);
    EXPECT_LE(around.size(), 1U) << tensor.name << " lies in two saved modules of " << names;
  }
  EXPECT_EQ(ours, theirs) << names;
}

TEST(SavedModulesTest, ANameThatPeftTakesForMoreIsWrittenAsPaths) {
  const families::Layout llama = Llama(false);

  EXPECT_EQ(Exported({"norm", "input_layernorm"}, llama), Json({"input_layernorm", "model.norm"}));
  EXPECT_EQ(Exported({"norm"}, llama), Json({"model.norm"}));
  EXPECT_EQ(Exported({"input_layernorm", "lm_head"}, llama), Json({"input_layernorm", "lm_head"}));
}

TEST(SavedModulesTest, PeftSavesWhatTheFileHolds) {
  for (const bool tied : {false, true}) {
    const families::Layout llama = Llama(tied);
    for (const std::vector<std::string>& modules :
         std::vector<std::vector<std::string>>{{"norm"},
                                               {"norm", "input_layernorm"},
                                               {"post_attention_layernorm"},
                                               {"mlp"},
                                               {"mlp", "up_proj"},
                                               {"layers.1.mlp", "mlp.down_proj"},
                                               {"0.mlp", "model.norm", "norm"}}) {
      ExpectPeftSavesTheSame(Exported(modules, llama), modules, llama);
    }
  }
  const families::Layout bert = TinyBert();
  for (const std::vector<std::string>& modules : std::vector<std::vector<std::string>>{
           {"embeddings"}, {"LayerNorm"}, {"embeddings", "LayerNorm"}, {"output.LayerNorm"}}) {
    Json names = Exported(modules, bert, tasks::Labels(2));
    names.erase(std::remove(names.begin(), names.end(), Json("classifier")), names.end());
    ExpectPeftSavesTheSame(names, modules, bert);
  }
}

TEST(SavedModulesTest, ALayerToTheVocabularyThatIsTheEmbeddingsIsNamedByThem) {
  const Status status = Refusal("lora", {{"modules_to_save", {"lm_head"}}}, Llama(true));

  EXPECT_EQ(FieldOf(status), "method.lora.modules_to_save");
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("\"lm_head\" is tied to the embeddings in this base: name "
                              "embed_tokens"),
                    Not(HasSubstr("anyhow"))));
  EXPECT_TRUE(Refusal("lora", {{"modules_to_save", {"embed_tokens"}}}, Llama(true)).ok());
  EXPECT_TRUE(Refusal("lora", {{"modules_to_save", {"lm_head"}}}, Llama(false)).ok());
}

TEST(SavedModulesTest, WhatIsNoModuleOfTheBaseIsToldWithThoseThatAre) {
  EXPECT_THAT(Refusal("lora", {{"modules_to_save", {"wte"}}}, Llama(false)).message(),
              HasSubstr("\"wte\" is no module of this base; there are down_proj, embed_tokens, "));
  for (const char* head : {"score", "classifier", "pre_classifier"}) {
    const families::Layout layout = std::string(head) == "score" ? Llama(true) : TinyDistilBert();
    EXPECT_THAT(Refusal("lora", {{"modules_to_save", {head}}}, layout).message(),
                HasSubstr("is the head of a classifier, which has it saved anyhow; leave it out"));
  }
}

}  // namespace
}  // namespace graft::methods
