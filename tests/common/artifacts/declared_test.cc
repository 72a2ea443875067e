// What a folder says of itself beside its adapter.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/artifacts/artifact.h"
#include "tests/common/artifacts/imports.h"

namespace graft::artifacts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nship\nsail\n";

TEST(DeclaredTest, NamesThatAreGivenWinOverIds) {
  const auto labels = [](const char* config, std::vector<std::string> given) {
    Files files = FolderOf(TinyIdentity());
    files["config.json"] = config;
    ImportRequest request = Request();
    request.label_names = std::move(given);
    const auto imported = Import(request, TinyBert(), files);
    return imported.ok() ? imported->manifest.identity.task.label_names
                         : std::vector<std::string>{imported.status().message()};
  };
  constexpr const char* kStandIns = R"({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}})";
  EXPECT_THAT(labels(kStandIns, {"no", "yes"}), ElementsAre("no", "yes"));
  EXPECT_THAT(labels(kStandIns, {}), ElementsAre(HasSubstr("doesn't name its labels")));
  EXPECT_THAT(labels(R"({"id2label": {"0": 5, "1": 7}})", {"no", "yes"}), ElementsAre("5", "7"));
  EXPECT_THAT(labels(R"({"id2label": {"0": 0, "1": 1}})", {"no", "yes"}), ElementsAre("no", "yes"));
  EXPECT_THAT(labels(R"({"id2label": {"0": "0", "1": "1"}})", {}), ElementsAre("0", "1"));
}

TEST(DeclaredTest, NumbersGiveWayToNamesWithAWord) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"id2label": {"0": "0", "1": "1"}})";
  ImportRequest request = Request();
  request.label_names = {"1", "0"};

  const auto imported = Import(request, TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->manifest.identity.task.label_names, ElementsAre("1", "0"));
  EXPECT_THAT(imported->warnings, ElementsAre(HasSubstr("the folder only numbers its own")));
}

TEST(DeclaredTest, LabelsMustBeKnown) {
  ImportRequest request = Request();
  request.label_names.clear();
  ExpectRefused(FolderOf(TinyIdentity()), "doesn't name its labels", StatusCode::kInvalidArgument,
                request);
  request.label_names = {"a", "b", "c"};
  ExpectRefused(FolderOf(TinyIdentity()), "the head has 2 outputs and 3 label names were given",
                StatusCode::kInvalidArgument, request);
}

TEST(DeclaredTest, LabelsAreTakenAsTrainingTakesThem) {
  ImportRequest request = Request();
  request.label_names = {"a", " a"};
  ExpectRefused(FolderOf(TinyIdentity()), "two outputs would have one label name",
                StatusCode::kInvalidArgument, request);
  request.label_names = {"a", ""};
  ExpectRefused(FolderOf(TinyIdentity()), "a label name is empty", StatusCode::kInvalidArgument,
                request);
  Identity one = TinyIdentity();
  one.task.label_names = {"score"};
  request.label_names = {"score"};
  ExpectRefused(FolderOf(one), "the head has 1 output", StatusCode::kInvalidArgument, request);
}

TEST(DeclaredTest, WhatTheFolderSaysOfItselfIsUsedOrSaid) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"id2label": {"0": "bad", "1": "good"}})";
  files["tokenizer_config.json"] = R"({"model_max_length": 24})";
  ImportRequest request = Request();
  request.label_names.clear();
  request.max_length = 0;

  const auto imported = Import(request, TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->manifest.identity.task.label_names, ElementsAre("bad", "good"));
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

TEST(DeclaredTest, AModelThatTheBaseIsNotIsSaid) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"model_type": "bert", "hidden_size": 48, "layer_norm_eps": 1e-5,
      "num_labels": 5, "_name_or_path": "org/other"})";
  Json config = Json::parse(files["adapter_config.json"]);
  config.erase("base_model_name_or_path");
  files["adapter_config.json"] = config.dump();

  const auto imported = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(
      imported->warnings,
      ElementsAre(HasSubstr("config.json: layer_norm_eps is 1e-05 where the base has 1e-12;"),
                  HasSubstr("num_labels is 5, and the head has 2 outputs"),
                  HasSubstr("trained on \"org/other\"; it is served on \"tiny\"")));
}

/// The first warning on a LoRA folder of a decoder `base`, whose config.json is `config`.
std::string DecoderWarning(const Json& base, const Json& config) {
  const families::Layout layout = families::MustRead(base, {"lm_head.weight"});
  Identity identity = TinyIdentity();
  identity.method = *(*methods::ParseMethod("lora", {{"rank", 2}}))->Resolve(layout);
  identity.task = {.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}};
  std::vector<Tensor> tensors;
  for (const auto& spec : identity.method->Tensors(layout, identity.task)) {
    const auto count = static_cast<size_t>(spec.shape[0] * spec.shape[1]);
    tensors.push_back({spec.key, spec.shape, std::string(count * 4, '\x3c')});
  }
  Files files = {{kWeights, Pack(tensors)}, {"config.json", config.dump()}};
  for (const auto& [name, text] :
       identity.method->ConfigFiles(layout, {"tiny", "a", identity.task}))
    files[name] = text;
  ImportRequest request = Request();
  request.label_names.clear();
  const auto imported = Import(request, layout, files);
  EXPECT_TRUE(imported.ok()) << imported.status();
  return !imported.ok() || imported->warnings.empty() ? "" : imported->warnings.front();
}

Json With(Json config, const Json& more) {
  config.update(more);
  return config;
}

TEST(DeclaredTest, AWindowThatTheBaseHasNotIsSaid) {
  const Json mistral =
      With(families::TinyLlamaConfig(false), {{"model_type", "mistral"}, {"sliding_window", 16}});
  const Json qwen = With(families::TinyLlamaConfig(false), {{"model_type", "qwen2"},
                                                            {"use_sliding_window", true},
                                                            {"sliding_window", 16},
                                                            {"max_window_layers", 1}});
  const Json off = With(qwen, {{"use_sliding_window", false}});

  EXPECT_EQ(DecoderWarning(mistral, mistral), "");
  EXPECT_EQ(DecoderWarning(mistral, {{"hidden_size", 16}}), "") << "it says nothing of windows";
  EXPECT_THAT(DecoderWarning(mistral, {{"sliding_window", 8}}),
              HasSubstr("config.json: sliding_window is 8 where the base has 16;"));
  EXPECT_THAT(DecoderWarning(mistral, {{"sliding_window", nullptr}}),
              HasSubstr("sliding_window is null where the base has 16"));
  EXPECT_EQ(DecoderWarning(qwen, qwen), "");
  EXPECT_EQ(DecoderWarning(qwen, {{"layer_types", {"full_attention", "sliding_attention"}}}), "")
      << "transformers 5 says it so";
  EXPECT_THAT(DecoderWarning(qwen, {{"layer_types", {"sliding_attention", "full_attention"}}}),
              HasSubstr("layer_types is"));
  EXPECT_THAT(DecoderWarning(qwen, {{"max_window_layers", 0}}),
              HasSubstr("max_window_layers is 0 where the base has 1"));
  EXPECT_THAT(DecoderWarning(qwen, off), HasSubstr("use_sliding_window is false"));
  EXPECT_EQ(DecoderWarning(off, {{"sliding_window", nullptr}, {"max_window_layers", 28}}), "");
}

TEST(DeclaredTest, ARopeThatTheBaseHasNotIsSaidInWhicheverForm) {
  const Json yarn4 = {{"rope_type", "yarn"}, {"factor", 2.0}};
  const Json base =
      With(families::TinyLlamaConfig(false), {{"rope_theta", 500.0}, {"rope_scaling", yarn4}});
  const Json yarn5 =
      With(yarn4, {{"rope_theta", 500.0}, {"original_max_position_embeddings", 4096}});

  EXPECT_EQ(DecoderWarning(base, base), "");
  EXPECT_EQ(DecoderWarning(base, {{"rope_parameters", yarn5}}), "")
      << "transformers 5 adds what is the default";
  EXPECT_THAT(DecoderWarning(base, {{"rope_theta", 10000.0}}),
              HasSubstr("rope_theta is 10000.0 where the base has 500.0"));
  EXPECT_THAT(DecoderWarning(base, {{"rope_scaling", nullptr}}),
              HasSubstr("rope_scaling is null where the base has"));
  EXPECT_THAT(DecoderWarning(base, {{"rope_parameters", With(yarn5, {{"factor", 4.0}})}}),
              HasSubstr("rope_scaling is"));
  EXPECT_THAT(DecoderWarning(base, {{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2}}}}),
              HasSubstr("the rope type dynamic isn't built"));
  EXPECT_EQ(DecoderWarning(base, {{"eos_token_id", 7}}), "") << "no part of the model";
}

TEST(DeclaredTest, ALengthOtherThanTheFoldersIsSaid) {
  const auto says = [](int length, int asked) {
    Files files = FolderOf(TinyIdentity());
    files["tokenizer_config.json"] = R"({"model_max_length": )" + std::to_string(length) + "}";
    ImportRequest request = Request();
    request.max_length = asked;
    const auto imported = Import(request, TinyBert(), files);
    EXPECT_TRUE(imported.ok()) << imported.status();
    return std::to_string(imported->manifest.identity.max_length) + ": " +
           (imported->warnings.empty() ? "" : imported->warnings.front());
  };
  EXPECT_EQ(says(24, 16),
            "16: max_length is 16 as given; the folder's tokenizer_config.json says 24");
  EXPECT_EQ(says(24, 24), "24: ");
  EXPECT_EQ(says(512, 0),
            "40: max_length is 40, the most that tiny has positions for; the folder's "
            "tokenizer_config.json says 512");
  EXPECT_EQ(says(512, 40), "40: ");
}

TEST(DeclaredTest, ALengthThatTrainingRefusesIsRefused) {
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

TEST(DeclaredTest, LabelsOfTheConfigThatAreNotUsedAreSaid) {
  const auto warnings = [](const char* config) {
    Files files = FolderOf(TinyIdentity());
    files["config.json"] = config;
    const auto imported = Import(Request(), TinyBert(), files);
    EXPECT_TRUE(imported.ok()) << imported.status();
    return imported.ok() ? imported->warnings : std::vector<std::string>();
  };
  for (const char* odd : {R"({"id2label": {"0": "bad", "2": "good"}})",
                          R"({"id2label": ["a", "b"]})", R"({"id2label": {"0": [], "1": "b"}})"}) {
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

TEST(DeclaredTest, AnotherKindOfProblemIsRefused) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"problem_type": "multi_label_classification"})";
  ExpectRefused(files, "problem_type is \"multi_label_classification\"");
}

TEST(DeclaredTest, AnotherTokenizerIsRefusedByAToken) {
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
  ExpectRefused(other, "isn't that of tiny: \"sail\" is 5 in one and 6 in the other",
                StatusCode::kInvalidArgument, request);
}

TEST(DeclaredTest, LabelsThatDontFitTheHeadGiveWayToThoseThatDo) {
  Files files = FolderOf(TinyIdentity());
  files["config.json"] = R"({"id2label": {"0": "a", "1": "b", "2": "stale"}})";

  const auto imported = Import(Request(), TinyBert(), files);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->manifest.identity.task.label_names, ElementsAre("neg", "pos"));
  EXPECT_THAT(imported->warnings, ElementsAre(HasSubstr("the folder names 3, and its head has 2")));
}

}  // namespace
}  // namespace graft::artifacts
