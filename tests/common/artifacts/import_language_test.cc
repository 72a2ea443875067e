// Folders of language models: no labels, a chat template of their own, and what a conversation is
// rendered without.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "tests/common/artifacts/imports.h"

namespace graft::artifacts {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const tasks::TaskSpec kLanguage = {.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}};

const families::Layout& TinyLlama() {
  static const auto* layout =
      new families::Layout(families::MustRead(families::TinyLlamaConfig(/*tied=*/true)));
  return *layout;
}

/// A LoRA of these fields as PEFT saves it, with weights that differ from each other.
Files LanguageFolder(const Json& fields = {{"rank", 2}}) {
  const auto method = (*methods::ParseMethod("lora", fields))->Resolve(TinyLlama());
  EXPECT_TRUE(method.ok()) << method.status();
  std::vector<Tensor> tensors;
  float value = 0.5;
  for (const methods::TensorSpec& spec : (*method)->Tensors(TinyLlama(), kLanguage)) {
    Tensor tensor{spec.key, spec.shape, {}};
    const int64_t count =
        std::accumulate(spec.shape.begin(), spec.shape.end(), int64_t{1}, std::multiplies<>());
    for (int64_t i = 0; i < count; ++i) {
      value += 0.25F;
      tensor.data.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    tensors.push_back(std::move(tensor));
  }
  Files files;
  for (const auto& [name, text] : (*method)->ConfigFiles(TinyLlama(), {"tiny", "graft", kLanguage}))
    files[name] = text;
  files[kWeights] = Pack(tensors);
  return files;
}

ImportRequest LanguageRequest() {
  ImportRequest request = Request();
  request.label_names.clear();
  request.max_length = 0;
  return request;
}

Imported MustImport(Files& files, const ImportRequest& request = LanguageRequest()) {
  auto imported = Import(request, TinyLlama(), files);
  EXPECT_TRUE(imported.ok()) << imported.status();
  return imported.ok() ? *std::move(imported) : Imported();
}

std::string Refusal(Files files) {
  return Import(LanguageRequest(), TinyLlama(), files).status().message();
}

TEST(ImportLanguageTest, BecomesAVersionWithoutLabels) {
  Files files = LanguageFolder();

  const Imported imported = MustImport(files);

  EXPECT_EQ(imported.manifest.identity.task, kLanguage);
  EXPECT_EQ(imported.manifest.identity.max_length, 2048);
  EXPECT_THAT(imported.warnings, IsEmpty());
  EXPECT_FALSE(files.contains("chat_template.jinja"));
  const auto opened = Open(files, TinyLlama());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->identity.task, kLanguage);
  EXPECT_EQ(Json::parse(files["adapter_config.json"])["task_type"], "CAUSAL_LM");
}

TEST(ImportLanguageTest, AnAdapterOfZerosIsTold) {
  const auto method = *(*methods::ParseMethod("lora", {{"rank", 2}}))->Resolve(TinyLlama());
  std::vector<Tensor> tensors;
  for (const methods::TensorSpec& spec : method->Tensors(TinyLlama(), kLanguage)) {
    tensors.push_back({spec.key, spec.shape,
                       std::string(static_cast<size_t>(spec.shape[0] * spec.shape[1]) * 4, 0)});
  }
  Files files = LanguageFolder();
  files[kWeights] = Pack(tensors);

  const Imported imported = MustImport(files);

  ASSERT_EQ(imported.warnings.size(), 1U);
  EXPECT_THAT(imported.warnings[0], HasSubstr("changes nothing of the base"));
  EXPECT_THAT(imported.warnings[0], HasSubstr("; it writes what the base writes"));
  EXPECT_THAT(imported.warnings[0], Not(HasSubstr("head")));
}

TEST(ImportLanguageTest, AnExportedVersionKeepsItsHash) {
  Files files = LanguageFolder();
  files["chat_template.jinja"] = "{{ messages[0].content }}";
  const std::string hash = MustImport(files).manifest.sha256;
  files["README.md"] = "# Adapter";

  EXPECT_EQ(MustImport(files).manifest.sha256, hash);
  EXPECT_EQ(files["chat_template.jinja"], "{{ messages[0].content }}");
}

TEST(ImportLanguageTest, LabelsThatAreGivenArePassedOver) {
  Files files = LanguageFolder();
  ImportRequest request = LanguageRequest();
  request.label_names = {"a", "b"};

  EXPECT_THAT(MustImport(files, request).warnings, Contains(HasSubstr("has no labels")));
}

TEST(ImportLanguageTest, KeepsTheChatTemplateThatTransformersWouldTake) {
  Files plain = LanguageFolder();
  const std::string without = MustImport(plain).manifest.sha256;
  Files files = LanguageFolder();
  files["tokenizer_config.json"] = Json{{"chat_template", "{{ messages[0].content }}"}}.dump();

  EXPECT_NE(MustImport(files).manifest.sha256, without) << "it changes answers";
  EXPECT_EQ(files["chat_template.jinja"], "{{ messages[0].content }}");

  Files both = LanguageFolder();
  both["tokenizer_config.json"] = Json{{"chat_template", "of the config"}}.dump();
  both["chat_template.jinja"] = "of the file";
  MustImport(both);
  EXPECT_EQ(both["chat_template.jinja"], "of the file");
}

TEST(ImportLanguageTest, OtherTemplatesAndTokensAreTold) {
  Files files = LanguageFolder();
  files["tokenizer_config.json"] =
      Json{{"eos_token", "<end>"},
           {"pad_token", "<pad>"},
           {"chat_template",
            {{{"name", "default"}, {"template", "{{ messages[0].content + eos_token }}"}},
             {{"name", "tool_use"}, {"template", "{{ tools }}"}}}}}
          .dump();
  ImportRequest request = LanguageRequest();
  request.tokenizer_files = {{"tokenizer_config.json", R"({"eos_token": "</s>"})"}};

  const auto warnings = MustImport(files, request).warnings;

  EXPECT_THAT(warnings, Contains(HasSubstr("\"tool_use\" is left aside")));
  EXPECT_THAT(
      warnings,
      Contains(HasSubstr("writes eos_token, which is \"<end>\" in the folder and \"</s>\"")));
  EXPECT_THAT(warnings, Not(Contains(HasSubstr("pad_token"))));
}

TEST(ImportLanguageTest, ATemplateThatCantBeReadIsRefusedWithItsPlace) {
  Files files = LanguageFolder();
  files["chat_template.jinja"] = "{% for m in messages %}\n{{ m.content ";

  EXPECT_THAT(Refusal(files), HasSubstr("the folder's chat template can't be read"));
  EXPECT_THAT(Refusal(files), HasSubstr("line 2"));
}

TEST(ImportLanguageTest, AHeadApartFromTheEmbeddingsIsRefused) {
  Files files = LanguageFolder({{"rank", 2}, {"modules_to_save", {"embed_tokens"}}});
  const auto add_head = [&](float change) {
    std::vector<Tensor> tensors;
    const auto view = safetensors::View::Parse(files[kWeights], kWeights);
    for (const auto& tensor : view->tensors()) {
      tensors.push_back({std::string(tensor.name),
                         {tensor.shape.begin(), tensor.shape.end()},
                         std::string(tensor.data)});
      if (tensor.name != "base_model.model.model.embed_tokens.weight") continue;
      Tensor head = tensors.back();
      head.key = "base_model.model.lm_head.weight";
      head.data.replace(0, sizeof(change), reinterpret_cast<const char*>(&change), sizeof(change));
      if (change == 0) head.data = tensors.back().data;
      tensors.push_back(head);
    }
    Files with_head = files;
    with_head[kWeights] = Pack(tensors);
    return with_head;
  };

  Files equal = add_head(0);
  MustImport(equal);
  EXPECT_THAT(Refusal(add_head(-3)),
              HasSubstr("lm_head.weight and "
                        "base_model.model.model.embed_tokens.weight differ"));
}

TEST(ImportLanguageTest, AClassifiersTemplateIsLeftAside) {
  Files files = FolderOf(TinyIdentity());
  files["chat_template.jinja"] = "{% nothing that anybody reads";

  const auto imported = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->left_aside, testing::ElementsAre("chat_template.jinja"));
  EXPECT_FALSE(files.contains("chat_template.jinja"));
}

}  // namespace
}  // namespace graft::artifacts
