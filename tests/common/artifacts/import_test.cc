#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/artifacts/artifact.h"
#include "common/artifacts/model_folder.h"
#include "tests/common/artifacts/imports.h"

namespace graft::artifacts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;

/// A PEFT folder whose config has one field set.
Files WithConfig(const std::string& field, const Json& value) {
  Files files = FolderOf(TinyIdentity());
  Json config = Json::parse(files["adapter_config.json"]);
  config[field] = value;
  files["adapter_config.json"] = config.dump();
  return files;
}

TEST(ImportTest, SealsAPeftFolderAsAVersionWhoseBaseIsDeclared) {
  Files files = FolderOf(TinyIdentity());

  const auto manifest = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_FALSE(manifest->manifest.record.base_proved);
  EXPECT_EQ(manifest->manifest.record.base, "tiny");
  EXPECT_EQ(manifest->manifest.identity.base_fingerprint, Sha256Hex("base"));
  EXPECT_EQ(manifest->manifest.identity.method->name(), "lora");
  EXPECT_THAT(manifest->manifest.identity.task.label_names, ElementsAre("neg", "pos"));
  const auto opened = Open(files, TinyBert());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->sha256, manifest->manifest.sha256);
  EXPECT_TRUE(
      BindTensors(files, manifest->manifest.identity.method->Tensors(TinyBert(), tasks::Labels(2)))
          .ok());
}

TEST(ImportTest, GivesTheHashThatTrainingTheSameWeightsWouldHaveGiven) {
  Files trained = FolderOf(TinyIdentity());
  const std::string hash = Seal(TinyIdentity(), TinyRecord(), trained).sha256;
  Files files = FolderOf(TinyIdentity());

  const auto manifest = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->manifest.sha256, hash);
}

TEST(ImportTest, DropsWhatGraftDoesntRead) {
  Files files = FolderOf(TinyIdentity());
  files["README.md"] = "# Adapter";
  files["adapter_model.bin"] = "\x80\x02pickle";
  files["training_args.bin"] = "\x80\x02pickle";
  files["tokenizer_config.json"] = "{}";
  files[".gitattributes"] = "*.safetensors filter=lfs";
  files["trainer_state.json"] = "no JSON at all";
  files["optimizer.safetensors"] = "no tensors at all";

  const auto manifest = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_THAT(manifest->left_aside,
              ElementsAre(".gitattributes", "README.md", "adapter_model.bin",
                          "optimizer.safetensors", "trainer_state.json", "training_args.bin"));
  EXPECT_THAT(files, ElementsAre(Key("adapter_config.json"), Key(kWeights), Key("graft.json")));
}

TEST(ImportTest, AGraftFolderKeepsItsHashAndRecord) {
  Files files = Sealed();
  const std::string hash = Open(files, TinyBert())->sha256;
  const Files original = files;
  files["README.md"] = "# Adapter";
  files["notes/run.txt"] = "";
  files["tokenizer_config.json"] = "{}";

  const auto manifest = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->manifest.sha256, hash);
  EXPECT_TRUE(manifest->manifest.record.base_proved);
  EXPECT_EQ(files, original);
}

TEST(ImportTest, AGraftFolderOfAnotherBaseOrTokenizerIsRefused) {
  ImportRequest other_base = Request();
  other_base.base_fingerprint = Sha256Hex("other base");
  ExpectRefused(Sealed(), Sha256Hex("other base").substr(0, 12), StatusCode::kFailedPrecondition,
                other_base);
  ImportRequest other_tokenizer = Request();
  other_tokenizer.tokenizer = Sha256Hex("other tokenizer");
  ExpectRefused(Sealed(), "names another tokenizer", StatusCode::kFailedPrecondition,
                other_tokenizer);
}

TEST(ImportTest, AGraftFolderIsStillChecked) {
  Files files = Sealed();
  files[kWeights].back() = static_cast<char>(files[kWeights].back() ^ 1);
  ExpectRefused(files, "has been changed", StatusCode::kDataLoss);

  // Sealed rightly, but not what the method needs.
  Files lacking = FolderOf(TinyIdentity());
  std::vector<Tensor> tensors = TensorsOf(*TinyIdentity().method);
  tensors.pop_back();
  lacking[kWeights] = Pack(tensors);
  Seal(TinyIdentity(), TinyRecord(), lacking);
  ExpectRefused(lacking, "lacks the tensor");
}

TEST(ImportTest, AFolderOfPicklesOnlySaysWhatToDo) {
  for (const char* name : {"adapter_model.bin", "model.pt", "model.pth", "weights.pkl"}) {
    Files files = FolderOf(TinyIdentity());
    files.erase(kWeights);
    files[name] = "\x80\x02pickle";
    ExpectRefused(files, "pickle files only");
  }
}

TEST(ImportTest, AFolderWithoutWeightsOrConfigIsRefused) {
  ExpectRefused({}, "no .safetensors file");
  Files no_weights = FolderOf(TinyIdentity());
  no_weights.erase(kWeights);
  ExpectRefused(no_weights, "no .safetensors file");
  Files no_config = FolderOf(TinyIdentity());
  no_config.erase("adapter_config.json");
  ExpectRefused(no_config, "no adapter_config.json", StatusCode::kNotFound);
}

TEST(ImportTest, ATornOrDisguisedFileIsRefused) {
  Files torn = FolderOf(TinyIdentity());
  torn[kWeights].resize(torn[kWeights].size() / 2);
  ExpectRefused(torn, std::string(kWeights) + ": the file ends", StatusCode::kDataLoss);
  Files pickle = FolderOf(TinyIdentity());
  pickle[kWeights] = std::string("PK\x03\x04\0\0\x08\x08 and more", 17);
  ExpectRefused(pickle, "pickle");
}

TEST(ImportTest, ATensorThatDoesntFitIsRefused) {
  const std::vector<Tensor> good = TensorsOf(*TinyIdentity().method);
  const auto with = [](const std::vector<Tensor>& tensors) {
    Files files = FolderOf(TinyIdentity());
    files[kWeights] = Pack(tensors);
    return files;
  };
  std::vector<Tensor> extra = good;
  extra.push_back({"base_model.model.stray", {1}, "1234"});
  ExpectRefused(with(extra), "base_model.model.stray belongs to nothing");
  std::vector<Tensor> missing = good;
  missing.pop_back();
  ExpectRefused(with(missing), "lacks");
  std::vector<Tensor> nan = good;
  nan[0].data.replace(0, 4, std::string("\0\0\xc0\x7f", 4));
  ExpectRefused(with(nan), "holds a NaN");
  std::vector<Tensor> misshapen = good;
  std::reverse(misshapen[0].shape.begin(), misshapen[0].shape.end());
  ExpectRefused(with(misshapen), "it must be");
  ExpectRefused(with(TensorsOf(*Method("lora", {{"rank", 3}}))), "it must be");
}

TEST(ImportTest, AnOptionThatGraftDoesntComputeIsRefused) {
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, Json>>{{"use_dora", true},
                                                 {"layers_to_transform", {0}},
                                                 {"init_lora_weights", "pissa"},
                                                 {"task_type", "CAUSAL_LM"},
                                                 {"target_modules", ".*query"},
                                                 {"r", 0},
                                                 {"r", "many"}}) {
    Files files = WithConfig(field, value);
    const Status status = Import(Request(), TinyBert(), files).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << ": " << status;
  }
  ExpectRefused(WithConfig("peft_type", "LOHA"), "LOHA", StatusCode::kUnimplemented);
}

TEST(ImportTest, AMalformedConfigIsRefused) {
  for (const char* text : {"", "{", "[]", "7", "{}", "\xff", "{\"r\":1,\"r\":2}"}) {
    Files files = FolderOf(TinyIdentity());
    files["adapter_config.json"] = text;
    const Status status = Import(Request(), TinyBert(), files).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text << ": " << status;
    EXPECT_THAT(status.message(), HasSubstr("adapter_config.json")) << text;
  }
}

TEST(ImportTest, AVersionComesBackWithTheTokenizerThatItsExportAdded) {
  Files files = FolderOf(TinyIdentity());
  const std::string hash = Seal(TinyIdentity(), TinyRecord(), files).sha256;
  const tokenizers::TokenizerFiles of_base = {
      {"config.json", "{}"},
      {"vocab.txt", "[PAD]\n[UNK]\n"},
      {"tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 512})"}};

  const auto tokenizer = ExportedTokenizer(of_base, 40);

  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  ASSERT_EQ(tokenizer->size(), 2u);
  EXPECT_EQ(tokenizer->at("vocab.txt"), "[PAD]\n[UNK]\n");
  EXPECT_EQ(Json::parse(tokenizer->at("tokenizer_config.json")),
            Json({{"do_lower_case", false}, {"model_max_length", 40}}));
  for (const auto& [name, bytes] : *tokenizer) files[name] = bytes;
  const auto manifest = Import(Request(), TinyBert(), files);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->manifest.sha256, hash);
  EXPECT_FALSE(files.contains("tokenizer_config.json"));
}

TEST(ExportedTokenizerTest, KeepsTheClassThatTheModelsConfigStates) {
  const auto config = [](const char* model, const char* own) {
    const auto files = ExportedTokenizer(
        {{"config.json", model}, {"tokenizer.json", "{}"}, {"tokenizer_config.json", own}}, 40);
    EXPECT_TRUE(files.ok()) << files.status();
    return Json::parse(files->at("tokenizer_config.json"));
  };
  EXPECT_EQ(config(R"({"tokenizer_class": "PreTrainedTokenizerFast"})", "{}"),
            Json({{"tokenizer_class", "PreTrainedTokenizerFast"}, {"model_max_length", 40}}));
  EXPECT_EQ(config(R"({"tokenizer_class": "PreTrainedTokenizerFast"})",
                   R"({"tokenizer_class": "BertTokenizer"})"),
            Json({{"tokenizer_class", "BertTokenizer"}, {"model_max_length", 40}}));
  EXPECT_EQ(
      config(R"({"tokenizer_class": "PreTrainedTokenizerFast"})", R"({"tokenizer_class": null})"),
      Json({{"tokenizer_class", "PreTrainedTokenizerFast"}, {"model_max_length", 40}}));
  EXPECT_EQ(config(R"({"tokenizer_class": null})", "{}"), Json({{"model_max_length", 40}}));
}

TEST(ExportedTokenizerTest, WritesWhatTransformers4ReadsToo) {
  const auto files = ExportedTokenizer(
      {{"tokenizer.json", "{}"},
       {"tokenizer_config.json",
        R"({"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<q>"]})"}},
      40);

  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(Json::parse(files->at("tokenizer_config.json")),
            Json({{"tokenizer_class", "PreTrainedTokenizerFast"},
                  {"additional_special_tokens", {"<q>"}},
                  {"model_max_length", 40}}));
}

/// A PEFT folder whose every lora_B is zero.
Files FolderOfZeros() {
  std::vector<Tensor> tensors = TensorsOf(*TinyIdentity().method);
  for (Tensor& tensor : tensors) {
    if (tensor.key.find("lora_B") != std::string::npos)
      tensor.data.assign(tensor.data.size(), '\0');
  }
  Files files = FolderOf(TinyIdentity());
  files[kWeights] = Pack(tensors);
  return files;
}

TEST(ImportTest, AnAdapterThatChangesNothingSaysSo) {
  Files files = FolderOfZeros();

  const auto imported = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->warnings, ElementsAre(HasSubstr("changes nothing")));
  Files trained = FolderOf(TinyIdentity());
  EXPECT_THAT(Import(Request(), TinyBert(), trained)->warnings, ElementsAre());
}

/// The folder with all tensors zero whose key has `part`.
Files WithZeros(const Identity& identity, const std::string& part) {
  std::map<std::string, std::vector<Tensor>> by_file;
  const auto specs = identity.method->Tensors(TinyBert(), tasks::Labels(2));
  std::vector<Tensor> tensors = TensorsOf(*identity.method);
  for (size_t i = 0; i < specs.size(); ++i) {
    if (tensors[i].key.find(part) != std::string::npos)
      tensors[i].data.assign(tensors[i].data.size(), '\0');
    by_file[specs[i].file].push_back(tensors[i]);
  }
  Files files;
  for (const auto& [name, in_file] : by_file) files[name] = Pack(in_file);
  for (const auto& [name, text] : identity.method->ConfigFiles(
           TinyBert(), {"tiny", "graft", tasks::Classification({"no", "yes"})})) {
    files[name] = text;
  }
  return files;
}

TEST(ImportTest, WhateverIsMultipliedByZerosChangesNothing) {
  const std::string none = "no tensor";
  struct Case {
    const char* method;
    Json fields;
    std::string zero;
    bool changes;
  };
  const Json one = {{"size", 4}, {"trained_scaling", "one"}};
  for (const Case& c : std::vector<Case>{
           {"lora", {{"rank", 2}}, "lora_A", false},
           {"lora", {{"rank", 2}}, "layer.0.attention.self.query.lora_B", true},
           {"lora", {{"rank", 2}, {"bias", "all"}}, "lora_B", true},
           {"bottleneck", {{"size", 4}}, "adapter_up", false},
           {"bottleneck", {{"size", 4}}, "adapter_up.weight", true},  // Its bias is left.
           {"bottleneck", {{"size", 4}, {"scaling", 0}}, none, false},
           {"bottleneck", one, "scaling", false},
           {"bottleneck", one, none, true}}) {
    Identity identity = TinyIdentity();
    identity.method = Method(c.method, c.fields);
    Files files = WithZeros(identity, c.zero);

    const auto imported = Import(Request(), TinyBert(), files);

    ASSERT_TRUE(imported.ok()) << c.method << c.fields << imported.status();
    const testing::Matcher<std::vector<std::string>> says =
        testing::Contains(HasSubstr("changes nothing"));
    EXPECT_THAT(imported->warnings, c.changes ? testing::Not(says) : says)
        << c.method << c.fields << c.zero;
  }
}

TEST(ImportTest, AnAdapterHubFolderKeepsItsLabelsUnderGraftsNames) {
  Identity identity = TinyIdentity();
  identity.method = Method("bottleneck", {{"size", 4}});
  // One file for the adapter, one for the head.
  const auto specs = identity.method->Tensors(TinyBert(), tasks::Labels(2));
  const std::vector<Tensor> tensors = TensorsOf(*identity.method);
  Files files;
  std::map<std::string, std::vector<Tensor>> by_file;
  for (size_t i = 0; i < specs.size(); ++i) by_file[specs[i].file].push_back(tensors[i]);
  for (const auto& [name, in_file] : by_file) files[name] = Pack(in_file);
  for (const auto& [name, text] : identity.method->ConfigFiles(
           TinyBert(), {"tiny", "graft", tasks::Classification({"no", "yes"})})) {
    files[name] = text;
  }

  const auto manifest = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->manifest.identity.method->name(), "bottleneck");
  EXPECT_THAT(manifest->manifest.identity.task.label_names, ElementsAre("no", "yes"));
  EXPECT_TRUE(BindTensors(files, specs).ok());
}

TEST(ImportTest, AFolderWithAGraftJsonIsCheckedAsOthersAre) {
  for (const std::vector<std::string>& labels :
       {std::vector<std::string>{"only"}, {"twin", "twin "}, {"", "full"}}) {
    Identity identity = TinyIdentity();
    identity.task.label_names = labels;
    Files files = {{"adapter_config.json", "{}"}};
    files[kWeights] = Pack(TensorsOf(*identity.method, static_cast<int64_t>(labels.size())));
    Seal(identity, TinyRecord(), files);
    EXPECT_EQ(Import(Request(), TinyBert(), files).status().code(), StatusCode::kInvalidArgument)
        << labels.front();
  }
  Files files = FolderOfZeros();
  Seal(TinyIdentity(), TinyRecord(), files);

  const auto imported = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->warnings, ElementsAre(HasSubstr("changes nothing")));
}

TEST(FileNamesTest, OnlyWhatAFormatReadsIsSent) {
  for (const char* name : {"graft.json", "adapter_config.json", "head_config.json", "config.json",
                           "adapter_model.safetensors", "adapter_model-00001-of-00002.safetensors",
                           "adapter.safetensors", "model_head.safetensors", "vocab.txt"}) {
    EXPECT_TRUE(MayBeRead(name, /*is_version=*/false)) << name;
  }
  for (const char* name : {"trainer_state.json", "model-00001-of-00002.safetensors",
                           "adapter_model-\x1b[2J.safetensors", "adapter_model.bin", "README.md"}) {
    EXPECT_FALSE(MayBeRead(name, /*is_version=*/true)) << name;
  }
  EXPECT_TRUE(MayBeRead("model.safetensors", /*is_version=*/true));
  EXPECT_FALSE(MayBeRead("model.safetensors", /*is_version=*/false));
}

}  // namespace
}  // namespace graft::artifacts
