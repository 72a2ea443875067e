// AdapterHub's folders of language models: the base's own layer to the vocabulary is theirs, and no
// head file says more than that.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using tasks::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;

const tasks::TaskSpec kLanguage = {.kind = Kind::kCausalLanguageModeling, .label_names = {}};

families::Layout Llama() { return families::MustRead(families::TinyLlamaConfig(true)); }

/// Files and tensors that graft writes of a bottleneck.
struct Folder {
  std::map<std::string, std::string> configs;
  Shapes shapes;
};
Folder Written() {
  const Method method = Resolved("bottleneck", {{"size", 4}}, Llama());
  Folder folder{method->ConfigFiles(Llama(), {"base", "graft", kLanguage}), {}};
  for (const TensorSpec& tensor : method->Tensors(Llama(), kLanguage))
    folder.shapes[tensor.key] = tensor.shape;
  return folder;
}

StatusOr<ImportedMethod> ImportFolder(const Folder& folder) {
  return ImportMethod(folder.configs, folder.shapes, Llama());
}

TEST(HubLanguageTest, AFolderWithoutAHeadIsALanguageModels) {
  const Folder folder = Written();
  EXPECT_THAT(folder.configs, ElementsAre(Key("adapter_config.json")));
  EXPECT_EQ(Json::parse(folder.configs.at("adapter_config.json"))["model_class"],
            "LlamaForCausalLM");

  const auto imported = ImportFolder(folder);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->task, kLanguage);
  EXPECT_EQ(ByName(imported->method->Tensors(Llama(), kLanguage)).size(), folder.shapes.size());
}

TEST(HubLanguageTest, AHeadThatOnlyNamesTheClassIsTheBases) {
  Folder folder = Written();
  Json head = {{"config", nullptr}, {"model_class", "LlamaForCausalLM"}, {"num_labels", 2}};
  folder.configs["head_config.json"] = head.dump();
  EXPECT_TRUE(ImportFolder(folder).ok());

  folder.shapes["lm_head.weight"] = {40, 16};
  EXPECT_THAT(ImportFolder(folder).status().message(), HasSubstr("with_head=False"));

  folder.shapes.erase("lm_head.weight");
  head["config"] = {{"head_type", "causal_lm"}, {"layers", 2}};
  folder.configs["head_config.json"] = head.dump();
  EXPECT_THAT(ImportFolder(folder).status().message(), HasSubstr("\"causal_lm\" isn't built"));
}

TEST(HubLanguageTest, ABaseWithoutALanguageHeadNeedsAHead) {
  const Method method = Resolved("bottleneck", {{"size", 4}}, TinyBert());
  Folder folder{method->ConfigFiles(TinyBert(), {"base", "graft", tasks::Labels(2)}), {}};
  folder.configs.erase("head_config.json");
  for (const TensorSpec& tensor : method->Tensors(TinyBert(), tasks::Labels(2)))
    folder.shapes[tensor.key] = tensor.shape;

  EXPECT_THAT(ImportMethod(folder.configs, folder.shapes, TinyBert()).status().message(),
              HasSubstr("no head_config.json"));
}

}  // namespace
}  // namespace graft::methods
