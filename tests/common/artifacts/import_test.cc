#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/artifacts/artifact.h"
#include "common/artifacts/model_folder.h"
#include "tests/common/artifacts/versions.h"

namespace graft::artifacts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;

ImportRequest Request() {
  return {.base = "tiny",
          .base_fingerprint = Sha256Hex("base"),
          .tokenizer = Sha256Hex("tokenizer"),
          .label_names = {"neg", "pos"},
          .max_length = 32,
          .precision = "fp32",
          .tokenizer_files = {}};
}

void ExpectRefused(Files files, const std::string& part,
                   StatusCode code = StatusCode::kInvalidArgument,
                   const ImportRequest& request = Request()) {
  const Status status = Import(request, TinyBert(), files).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(status.message(), HasSubstr(part));
}

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
  EXPECT_THAT(manifest->manifest.identity.label_names, ElementsAre("neg", "pos"));
  const auto opened = Open(files, TinyBert());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->sha256, manifest->manifest.sha256);
  EXPECT_TRUE(BindTensors(files, manifest->manifest.identity.method->Tensors(TinyBert(), 2)).ok());
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

TEST(ImportTest, LabelsMustBeKnown) {
  ImportRequest request = Request();
  request.label_names.clear();
  ExpectRefused(FolderOf(TinyIdentity()), "doesn't name its labels", StatusCode::kInvalidArgument,
                request);
  request.label_names = {"a", "b", "c"};
  ExpectRefused(FolderOf(TinyIdentity()), "the head has 2 outputs and 3 label names were given",
                StatusCode::kInvalidArgument, request);
}

TEST(ImportTest, LabelsAreTakenAsTrainingTakesThem) {
  ImportRequest request = Request();
  request.label_names = {"a", " a"};
  ExpectRefused(FolderOf(TinyIdentity()), "two outputs would have one label name",
                StatusCode::kInvalidArgument, request);
  request.label_names = {"a", ""};
  ExpectRefused(FolderOf(TinyIdentity()), "a label name is empty", StatusCode::kInvalidArgument,
                request);
  Identity one = TinyIdentity();
  one.label_names = {"score"};
  request.label_names = {"score"};
  ExpectRefused(FolderOf(one), "the head has 1 output", StatusCode::kInvalidArgument, request);
}

TEST(ImportTest, WhatTheFolderSaysOfItselfIsUsedOrSaid) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"id2label": {"0": "bad", "1": "good"}})";
  files["tokenizer_config.json"] = R"({"model_max_length": 24})";
  ImportRequest request = Request();
  request.label_names.clear();
  request.max_length = 0;

  const auto imported = Import(request, TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->manifest.identity.label_names, ElementsAre("bad", "good"));
  EXPECT_EQ(imported->manifest.identity.max_length, 24);
  EXPECT_THAT(imported->warnings, ElementsAre());

  Files other = FolderOf(TinyIdentity());
  other["config.json"] = R"({"id2label": {"0": "bad", "1": "good"}})";
  other["tokenizer_config.json"] = R"({"model_max_length": 24})";
  request = Request();
  request.base = "another";
  const auto differing = Import(request, TinyBert(), other);
  ASSERT_TRUE(differing.ok()) << differing.status();
  EXPECT_THAT(differing->warnings,
              ElementsAre(HasSubstr("the labels are those that the folder itself names"),
                          HasSubstr("tokenizer_config.json says 24"),
                          HasSubstr("trained on \"tiny\"; it is served on \"another\"")));
}

TEST(ImportTest, ALengthThatTrainingRefusesIsRefused) {
  ImportRequest request = Request();
  request.max_length = 3;
  ExpectRefused(FolderOf(TinyIdentity()), "max_length is 3; it must leave room for text",
                StatusCode::kInvalidArgument, request);
  request.max_length = 0;
  Files files = FolderOf(TinyIdentity());
  files["tokenizer_config.json"] = R"({"model_max_length": 1})";
  ExpectRefused(files, "max_length is 1, as the folder's tokenizer_config.json says",
                StatusCode::kInvalidArgument, request);
}

TEST(ImportTest, LabelsOfTheConfigThatAreNotUsedAreSaid) {
  const auto warnings = [](const char* config) {
    Files files = FolderOf(TinyIdentity());
    files["config.json"] = config;
    const auto imported = Import(Request(), TinyBert(), files);
    EXPECT_TRUE(imported.ok()) << imported.status();
    return imported.ok() ? imported->warnings : std::vector<std::string>();
  };
  for (const char* odd : {R"({"id2label": {"0": "bad", "2": "good"}})",
                          R"({"id2label": ["a", "b"]})", R"({"id2label": {"0": 0, "1": 1}})"}) {
    EXPECT_THAT(warnings(odd), ElementsAre(HasSubstr("its id2label doesn't name each id"))) << odd;
  }
  EXPECT_THAT(warnings(R"({"label2id": {"bad": 0, "good": 1}})"),
              ElementsAre(HasSubstr("label2id without names in id2label")));
  EXPECT_THAT(warnings(R"({"id2label": {"0": "LABEL_0", "1": "LABEL_1"},
                           "label2id": {"bad": 0, "good": 1}})"),
              ElementsAre(HasSubstr("label2id without names in id2label")));
  const auto contradicting =
      warnings(R"({"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 1, "yes": 0}})");
  EXPECT_THAT(contradicting, testing::Contains(HasSubstr("which id2label says otherwise")));
  for (const char* plain : {R"({})", R"({"id2label": {"0": "LABEL_0", "1": "LABEL_1"},
                                        "label2id": {"LABEL_0": 0, "LABEL_1": 1}})",
                            R"({"id2label": {}, "label2id": {}})"}) {
    EXPECT_THAT(warnings(plain), ElementsAre()) << plain;
  }
}

TEST(ImportTest, AnotherKindOfProblemIsRefused) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"problem_type": "multi_label_classification"})";
  ExpectRefused(files, "problem_type is \"multi_label_classification\"");
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

constexpr const char* kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nship\nsail\n";

TEST(ImportTest, AnotherTokenizerIsRefusedByAToken) {
  const tokenizers::TokenizerFiles base_files = {{"vocab.txt", kVocabulary}};
  const auto base = tokenizers::LoadTokenizer(base_files);
  ASSERT_TRUE(base.ok()) << base.status();
  ImportRequest request = Request();
  request.base_tokenizer = base->get();
  request.tokenizer_files = base_files;
  Files same = FolderOf(TinyIdentity());
  same["vocab.txt"] = kVocabulary;
  EXPECT_TRUE(Import(request, TinyBert(), same).ok());
  Files other = FolderOf(TinyIdentity());
  other["vocab.txt"] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nsail\nship\n";
  ExpectRefused(other, "the folder's own tokenizer isn't that of tiny",
                StatusCode::kInvalidArgument, request);
}

TEST(ImportTest, AnAdapterHubFolderKeepsItsLabelsUnderGraftsNames) {
  Identity identity = TinyIdentity();
  identity.method = Method("bottleneck", {{"size", 4}});
  // One file for the adapter, one for the head.
  const auto specs = identity.method->Tensors(TinyBert(), 2);
  const std::vector<Tensor> tensors = TensorsOf(*identity.method);
  Files files;
  std::map<std::string, std::vector<Tensor>> by_file;
  for (size_t i = 0; i < specs.size(); ++i) by_file[specs[i].file].push_back(tensors[i]);
  for (const auto& [name, in_file] : by_file) files[name] = Pack(in_file);
  for (const auto& [name, text] :
       identity.method->ConfigFiles(TinyBert(), {"tiny", "graft", {"no", "yes"}})) {
    files[name] = text;
  }

  const auto manifest = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->manifest.identity.method->name(), "bottleneck");
  EXPECT_THAT(manifest->manifest.identity.label_names, ElementsAre("no", "yes"));
  EXPECT_TRUE(BindTensors(files, specs).ok());
}

TEST(ImportTest, AFolderWithAGraftJsonIsCheckedAsOthersAre) {
  for (const std::vector<std::string>& labels :
       {std::vector<std::string>{"only"}, {"twin", "twin "}, {"", "full"}}) {
    Identity identity = TinyIdentity();
    identity.label_names = labels;
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

TEST(ImportTest, LabelsThatDontFitTheHeadGiveWayToThoseThatDo) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"id2label": {"0": "a", "1": "b", "2": "stale"}})";

  const auto imported = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->manifest.identity.label_names, ElementsAre("neg", "pos"));
  EXPECT_THAT(imported->warnings, ElementsAre(HasSubstr("the folder names 3, and its head has 2")));
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
