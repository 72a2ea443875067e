// Specs against the folders that peft, adapters and transformers wrote for the golden tests: every
// tensor of a folder has its place in the spec, with its shape, and every place its tensor.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/safetensors/safetensors.h"
#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

struct Folder {
  families::Layout layout;
  Json method;  ///< {"lora": {...}}
  std::vector<std::string> label_names;
  std::map<std::string, std::string> configs;
  Shapes shapes;
};

std::string Read(const std::filesystem::path& path) {
  const auto text = ReadFile(path);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "{}";
}

void AddShapes(const std::filesystem::path& path, Shapes& shapes) {
  const auto file = safetensors::File::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  for (const safetensors::TensorInfo& tensor : (*file)->tensors()) {
    shapes[tensor.name] = tensor.shape;
  }
}

Folder Load(const std::string& name) {
  const std::filesystem::path data = GRAFT_SOURCE_DIR "/tests/golden/data";
  const Json golden = Json::parse(Read(data / name / "case.json"));
  const std::string base = golden["base"];
  Shapes base_shapes;
  AddShapes(data / base / "model.safetensors", base_shapes);
  std::vector<std::string> base_names;
  for (const auto& [tensor, shape] : base_shapes) base_names.push_back(tensor);
  Folder folder;
  folder.layout = families::MustRead(Json::parse(Read(data / base / "config.json")), base_names);
  folder.method = golden["method"];
  folder.label_names = golden["label_names"];
  for (const auto& entry : std::filesystem::directory_iterator(data / name)) {
    const std::string file = entry.path().filename().string();
    if (file == "expected.safetensors" || file == "case.json") continue;
    if (file.ends_with(".json")) folder.configs[file] = Read(entry.path());
    if (file.ends_with(".safetensors")) AddShapes(entry.path(), folder.shapes);
  }
  return folder;
}

/// The folder's shapes under the names of the spec.
Shapes Named(const Folder& folder, const std::vector<TensorSpec>& tensors,
             const std::map<std::string, std::string>& renamed) {
  std::map<std::string, std::string> names = renamed;
  for (const TensorSpec& tensor : tensors) names.emplace(tensor.key, tensor.name);
  Shapes named;
  for (const auto& [key, shape] : folder.shapes) {
    const auto name = names.find(key);
    named[name == names.end() ? "no place for " + key : name->second] = shape;
  }
  return named;
}

Shapes Expected(const std::vector<TensorSpec>& tensors) {
  Shapes shapes;
  for (const TensorSpec& tensor : tensors) shapes[tensor.name] = tensor.shape;
  return shapes;
}

std::string NameOf(const testing::TestParamInfo<std::string>& folder) {
  std::string name = folder.param;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

class GoldenImportTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenImportTest, TheFolderIsWhatItsMethodSays) {
  const Folder folder = Load(GetParam());
  const Method expected =
      Resolved(folder.method.begin().key(), folder.method.begin().value(), folder.layout);

  const auto imported = ImportMethod(folder.configs, folder.shapes, folder.layout);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->method->ToJson(), expected->ToJson());
  if (expected->name() == "bottleneck") {
    EXPECT_EQ(imported->task.label_names, folder.label_names);
  }
  const auto tensors =
      imported->method->Tensors(folder.layout, tasks::Classification(folder.label_names));
  EXPECT_EQ(Named(folder, tensors, imported->renamed_keys), Expected(tensors));
}

INSTANTIATE_TEST_SUITE_P(Folders, GoldenImportTest,
                         testing::Values("bert-lora", "bert-lora-all", "bert-rslora",
                                         "bert-houlsby", "bert-houlsby-gelu", "bert-pfeiffer",
                                         "distilbert-lora", "distilbert-lora-all",
                                         "distilbert-rslora", "distilbert-houlsby",
                                         "distilbert-houlsby-gelu", "distilbert-pfeiffer"),
                         NameOf);

class GoldenStateDictTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenStateDictTest, TheFileIsWhatItsMethodSays) {
  const Folder folder = Load(GetParam());
  const Method method =
      Resolved(folder.method.begin().key(), folder.method.begin().value(), folder.layout);

  const auto tensors = method->Tensors(folder.layout, tasks::Classification(folder.label_names));

  EXPECT_EQ(Named(folder, tensors, {}), Expected(tensors));
}

INSTANTIATE_TEST_SUITE_P(Folders, GoldenStateDictTest,
                         testing::Values("bert-last-layers-0", "bert-last-layers-2", "bert-full",
                                         "distilbert-last-layers-0", "distilbert-last-layers-2",
                                         "distilbert-full"),
                         NameOf);

}  // namespace
}  // namespace graft::methods
