// PEFT's folders of language models: which task a folder has, whose head it uses, and what becomes
// of saved embeddings where the head is one with them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/methods/lora.h"
#include "common/methods/peft_task.h"
#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using tasks::Kind;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr const char* kWords = "base_model.model.model.embed_tokens.weight";
constexpr const char* kHead = "base_model.model.lm_head.weight";

families::Layout Llama(bool tied) {
  return families::MustRead(
      families::TinyLlamaConfig(tied),
      tied ? std::vector<std::string>() : std::vector<std::string>{"lm_head.weight"});
}

/// LoRA of rank 4 on q_proj and v_proj of both layers.
Shapes QueriesAndValues() {
  Shapes shapes;
  for (const std::string layer : {"0", "1"}) {
    for (const auto& [module, out] :
         {std::pair<std::string, int64_t>{"q_proj", 16}, {"v_proj", 8}}) {
      const std::string path = "base_model.model.model.layers." + layer + ".self_attn." + module;
      shapes[path + ".lora_A.weight"] = {4, 16};
      shapes[path + ".lora_B.weight"] = {out, 4};
    }
  }
  return shapes;
}

Shapes With(Shapes shapes, const std::string& key, std::vector<int64_t> shape = {40, 16}) {
  shapes[key] = std::move(shape);
  return shapes;
}

StatusOr<ImportedMethod> ImportFolder(const Json& changes, const Shapes& shapes,
                                      const families::Layout& layout) {
  Json config = {{"peft_type", "LORA"},
                 {"task_type", "CAUSAL_LM"},
                 {"r", 4},
                 {"lora_alpha", 8},
                 {"target_modules", {"q_proj", "v_proj"}}};
  config.update(changes);
  return ImportMethod({{"adapter_config.json", config.dump()}}, shapes, layout);
}

std::string Refusal(const Json& changes, const Shapes& shapes, const families::Layout& layout) {
  return ImportFolder(changes, shapes, layout).status().message();
}

TEST(PeftLanguageTest, TheConfigsTaskCounts) {
  const auto imported = ImportFolder(Json::object(), QueriesAndValues(), Llama(true));
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->task.kind, Kind::kCausalLanguageModeling);
  EXPECT_THAT(imported->task.label_names, IsEmpty());
  EXPECT_EQ(imported->head_outputs, 0);

  const Json classifier = {{"task_type", "SEQ_CLS"}, {"modules_to_save", {"classifier", "score"}}};
  const auto other = ImportFolder(
      classifier, With(QueriesAndValues(), "base_model.model.score.weight", {3, 16}), Llama(true));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->task.kind, Kind::kSequenceClassification);
  EXPECT_EQ(other->head_outputs, 3);
}

TEST(PeftLanguageTest, WithoutATaskTheFilesHeadTells) {
  const Json none = {{"task_type", nullptr}};
  EXPECT_EQ(ImportFolder(none, QueriesAndValues(), Llama(true))->task.kind,
            Kind::kCausalLanguageModeling);
  EXPECT_EQ(ImportFolder(none, With(QueriesAndValues(), "base_model.model.score.weight", {3, 16}),
                         Llama(true))
                ->task.kind,
            Kind::kSequenceClassification);
}

TEST(PeftLanguageTest, TasksAndHeadsThatDontFitAreNamed) {
  EXPECT_THAT(Refusal({{"task_type", "SEQ_2_SEQ_LM"}}, QueriesAndValues(), Llama(true)),
              HasSubstr("only SEQ_CLS and CAUSAL_LM are built for this base"));
  EXPECT_THAT(Refusal(Json::object(), QueriesAndValues(),
                      families::MustRead(families::TinyLlamaConfig(false), {})),
              HasSubstr("task_type is \"CAUSAL_LM\"; only SEQ_CLS is built for this base"));
  EXPECT_THAT(
      Refusal(Json::object(), With(QueriesAndValues(), "base_model.model.score.weight", {3, 16}),
              Llama(true)),
      HasSubstr("holds a classifier's score.weight"));
  EXPECT_THAT(Refusal({{"task_type", "SEQ_CLS"}}, QueriesAndValues(), Llama(true)),
              HasSubstr("lacks the head's score.weight"));
  EXPECT_THAT(Refusal({{"task_type", "SEQ_CLS"}}, With(QueriesAndValues(), kHead), Llama(true)),
              HasSubstr("a language model's base_model.model.lm_head.weight"));
}

TEST(PeftLanguageTest, SavedEmbeddingsOfAnOwnHeadAreTwoTensors) {
  const auto imported =
      ImportFolder(Json::object(), With(With(QueriesAndValues(), kWords), kHead), Llama(false));

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->method->ToJson()["modules_to_save"],
              ElementsAre("lm_head", "model.embed_tokens"));
  EXPECT_FALSE(FindTiedKeys(imported->renamed_keys, Llama(false)));
}

TEST(PeftLanguageTest, SavedEmbeddingsOfATiedHeadAreOneTensor) {
  const families::Layout layout = Llama(true);
  const auto imported =
      ImportFolder(Json::object(), With(With(QueriesAndValues(), kWords), kHead), layout);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->method->ToJson()["modules_to_save"], ElementsAre("model.embed_tokens"));
  const auto tied = FindTiedKeys(imported->renamed_keys, layout);
  ASSERT_TRUE(tied);
  EXPECT_EQ(tied->head, kHead);
  EXPECT_EQ(tied->words, kWords);
  EXPECT_THAT(imported->renamed_keys, Contains(Pair(kHead, "")));
  // As PEFT reads it again: named in modules_to_save the embeddings would be a copy.
  const Json config = Json::parse(imported->method->ConfigFiles(
      layout, {"base", "graft", imported->task})["adapter_config.json"]);
  EXPECT_THAT(config["modules_to_save"], IsEmpty());
  EXPECT_EQ(config["task_type"], "CAUSAL_LM");
}

TEST(PeftLanguageTest, OneOfATiedPairAloneCountsUnlessItWasSavedApart) {
  const families::Layout layout = Llama(true);
  for (const char* key : {kWords, kHead}) {
    const auto imported = ImportFolder(Json::object(), With(QueriesAndValues(), key), layout);
    ASSERT_TRUE(imported.ok()) << imported.status();
    EXPECT_THAT(imported->renamed_keys, Contains(Pair(key, "model.embed_tokens.weight")));
  }
  for (const auto& [key, module] : {std::pair{kWords, "embed_tokens"}, {kHead, "lm_head"}}) {
    const Json saved = {{"modules_to_save", {module}}};
    EXPECT_THAT(Refusal(saved, With(QueriesAndValues(), key), layout),
                HasSubstr("without ensure_weight_tying"));
    Json tied = saved;
    tied["ensure_weight_tying"] = true;
    EXPECT_TRUE(ImportFolder(tied, With(QueriesAndValues(), key), layout).ok());
  }
}

TEST(PeftLanguageTest, AResizedVocabularyIsNamedWithBothSizes) {
  for (const char* key : {kWords, kHead}) {
    for (const bool tied : {true, false}) {
      EXPECT_THAT(Refusal(Json::object(), With(QueriesAndValues(), key, {42, 16}), Llama(tied)),
                  HasSubstr("has 42 rows, and the base 40 tokens"));
    }
  }
}

TEST(PeftLanguageTest, AnAdaptedHeadOrEmbeddingIsNamed) {
  const Json head = {{"target_modules", {"q_proj", "v_proj", "lm_head"}}};
  EXPECT_THAT(
      Refusal(head, With(QueriesAndValues(), "base_model.model.lm_head.lora_A.weight", {4, 16}),
              Llama(true)),
      HasSubstr("adapts the layer to the vocabulary"));
  EXPECT_THAT(Refusal({{"target_modules", {"q_proj", "v_proj", "embed_tokens"}}},
                      With(QueriesAndValues(),
                           "base_model.model.model.embed_tokens.lora_embedding_A", {4, 40}),
                      Llama(true)),
              HasSubstr("adapts an embedding"));
}

}  // namespace
}  // namespace graft::methods
