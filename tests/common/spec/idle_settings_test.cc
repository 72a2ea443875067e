// A row for each setting that can't take effect, and one beside it that can.

#include "common/spec/idle_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/common/families/configs.h"
#include "tests/common/spec/support.h"
#include "tests/common/tasks/labels.h"

namespace graft::spec {
namespace {

using testing::HasSubstr;

struct Row {
  std::string shows;
  Json idle;         ///< Merged into a job.
  std::string says;  ///< A piece of its one warning.
  Json works;        ///< The same setting where it has its effect; null: there is none.
  bool has_validation = true;
  RunSize run = {};
};

/// 100 examples of at most 20 tokens, in batches of 16: 7 steps an epoch, 21 in all.
RunSize Usual() {
  RunSize run;
  run.train_examples = 100;
  run.validation_examples = 20;
  run.longest_tokens = 20;
  run.seconds = 60;
  return run;
}

std::vector<std::string> Warnings(const Json& change, bool has_validation) {
  Json json = Minimal();
  if (has_validation) json["dataset"]["validation_fraction"] = 0.1;
  if (change.contains("method")) json.erase("method");
  json.merge_patch(change);
  const bool is_language = json.contains("task");
  const families::Layout layout = families::MustRead(
      is_language ? families::TinyLlamaConfig(/*tied=*/true) : families::TinyBertConfig());
  auto spec = Resolve(Must(json), layout);
  EXPECT_TRUE(spec.ok()) << spec.status() << " " << change;
  if (!spec.ok()) return {};
  if (!is_language) spec->task = tasks::Labels(2);
  const Hyperparameters& hp = spec->hyperparameters;
  RunSize run = Usual();
  if (!has_validation) run.validation_examples = 0;
  run.micro_batches =
      hp.batch_tokens > 0 ? 100 * 20 / hp.batch_tokens : (100 + hp.batch_size - 1) / hp.batch_size;
  run.total_steps = TotalSteps(hp, run.micro_batches);
  return FindIdleSettings(*spec, layout, run);
}

Json Hp(Json fields) { return {{"hyperparameters", std::move(fields)}}; }
Json Lora(Json fields) { return {{"method", {{"lora", std::move(fields)}}}}; }
Json Bottleneck(Json fields) { return {{"method", {{"bottleneck", std::move(fields)}}}}; }

/// The same of a language model's job.
Json Language(Json change) {
  change["task"]["causal_lm"] = Json::object();
  return change;
}

std::vector<Row> Rows() {
  return {
      {"warm-up longer than the run", Hp({{"warmup_steps", 1000}}), "warmup_steps is 1000",
       Hp({{"warmup_steps", 20}})},
      {"warm-up as long as the run", Hp({{"warmup_steps", 21}}), "whole run has 21 steps",
       Hp({{"warmup_steps", 3}})},
      {"a run of one step that warms up",
       Hp({{"max_steps", 1}, {"warmup_ratio", 0.1}, {"batch_size", 100}}), "nothing is trained",
       Hp({{"max_steps", 1}, {"batch_size", 100}})},
      {"warm-up's part of a short run", Hp({{"warmup_ratio", 0.97}}), "warmup_ratio is 0.97",
       Hp({{"warmup_ratio", 0.1}})},
      {"a learning rate below the weights' last bit", Hp({{"learning_rate", 1e-10}}),
       "learning_rate is 1e-10", Hp({{"learning_rate", 1e-5}})},
      {"fewer steps than an epoch", Hp({{"max_steps", 5}}), "max_steps is 5",
       Hp({{"max_steps", 7}})},
      {"a part of an epoch", Hp({{"epochs", 0.3}}), "epochs is 0.3", Hp({{"epochs", 1}})},
      {"a batch larger than the data", Hp({{"batch_size", 128}}), "holds them all",
       Hp({{"batch_size", 64}})},
      {"two ways to cut batches", Hp({{"batch_size", 8}, {"batch_tokens", 200}}),
       "beside batch_tokens", Hp({{"batch_tokens", 200}})},
      {"batch tokens below one example", Hp({{"batch_tokens", 10}}), "batch of its own",
       Hp({{"batch_tokens", 40}})},
      {"accumulation beyond an epoch", Hp({{"gradient_accumulation_steps", 8}}), "only 7 batches",
       Hp({{"gradient_accumulation_steps", 7}})},
      {"an epsilon that swallows gradients", Hp({{"adam_epsilon", 0.1}}), "adam_epsilon is 0.1",
       Hp({{"adam_epsilon", 1e-6}})},
      {"clipping below epsilon", Hp({{"max_grad_norm", 1e-7}}), "max_grad_norm is 1e-07",
       Hp({{"max_grad_norm", 0.1}})},
      {"exact switched off", Hp({{"exact", false}}), "exact is false", Hp({{"exact", true}})},
      {"evaluations without data for them", Hp({{"evaluations_per_epoch", 4}}),
       "without validation data", Hp({{"evaluations_per_epoch", 1}}), false},
      {"evaluations that no checkpoint is kept at", Hp({{"evaluations_per_epoch", 4}}),
       "without validation data", Hp({{"evaluations_per_epoch", 4}, {"keep_checkpoints", 2}}),
       false},
      {"checkpoints of the end alone", Hp({{"evaluations_per_epoch", 0}, {"keep_checkpoints", 2}}),
       "keep_checkpoints is 2", Hp({{"evaluations_per_epoch", 0}, {"keep_checkpoints", 1}})},
      {"more evaluations than steps", Hp({{"evaluations_per_epoch", 50}}), "once at most",
       Hp({{"evaluations_per_epoch", 7}})},
      {"patience longer than the run", Hp({{"early_stopping_patience", 3}}), "has 3 evaluations",
       Hp({{"early_stopping_patience", 3}, {"evaluations_per_epoch", 4}})},
      {"stopping early with one evaluation",
       Hp({{"early_stopping_patience", 1}, {"evaluations_per_epoch", 0}}), "has 1 evaluation",
       Hp({{"early_stopping_patience", 1}})},
      {"stopping early, keeping the last",
       Hp({{"early_stopping_patience", 1}, {"keep_best", false}}), "keeps the last",
       Hp({{"early_stopping_patience", 1}, {"keep_best", true}})},
      {"the best of one", Hp({{"keep_best", true}, {"evaluations_per_epoch", 0}}),
       "keep_best has no effect", Hp({{"keep_best", true}})},
      {"a limit below the estimate", Hp({{"max_run_seconds", 10}}), "about 60.0 s",
       Hp({{"max_run_seconds", 100}})},
      {"checkpoints beyond the limit", Hp({{"max_run_seconds", 100}, {"checkpoint_seconds", 100}}),
       "not less than max_run_seconds", Hp({{"max_run_seconds", 100}, {"checkpoint_seconds", 10}})},
      {"checkpoints beyond the run", Hp({{"checkpoint_seconds", 600}}), "no checkpoint is written",
       Hp({{"checkpoint_seconds", 30}})},
      {"a rank above the width", Lora({{"rank", 1024}}), "method.lora.rank is 1024",
       Lora({{"rank", 4}})},
      {"a module's rank above the width", Lora({{"rank_pattern", {{"query", 1024}}}}),
       "method.lora.rank_pattern has 1024", Lora({{"rank_pattern", {{"query", 4}}}})},
      {"adapters that are multiplied by 0", Bottleneck({{"scaling", 0}, {"size", 8}}),
       "scaling is 0", Bottleneck({{"scaling", 2}, {"size", 8}})},
      {"a size beside each layer's own", Bottleneck({{"size", 8}, {"layer_sizes", {4, 6}}}),
       "method.bottleneck.size is 8", Bottleneck({{"layer_sizes", {4, 6}}})},
      {"rank stabilisation of rank 1", Lora({{"rank", 1}, {"rslora", true}}), "rslora",
       Lora({{"rank", 2}, {"rslora", true}})},
      {"a head left at random", Bottleneck({{"freeze_head", true}, {"size", 8}}), "random values",
       Bottleneck({{"size", 8}})},
      {"a language model's rate below the weights' last bit",
       Language(Hp({{"learning_rate", 1e-10}})), "usual for language models is 0.0002",
       Language(Hp({{"learning_rate", 1e-5}}))},
      {"a head left as it is that isn't there",
       Language(Bottleneck({{"freeze_head", true}, {"size", 8}})),
       "method.bottleneck.freeze_head is true, which has no effect: a language model",
       Language(Bottleneck({{"size", 8}}))},
      {"the form of a head that isn't there",
       Language(Bottleneck({{"head", "first-token:tanh"}, {"size", 8}})),
       "method.bottleneck.head is \"first-token:tanh\", which has no effect",
       Bottleneck({{"head", "first-token:tanh"}, {"size", 8}})},
      {"first values of weights that are there",
       [] {
         Json json = Bottleneck({{"init_std", 0.1}, {"size", 8}});
         json["init_from"] = "support@3";
         return json;
       }(),
       "with init_from", Bottleneck({{"init_std", 0.1}, {"size", 8}})},
  };
}

TEST(IdleSettingsTest, EachIsTold) {
  for (const Row& row : Rows()) {
    const std::vector<std::string> warnings = Warnings(row.idle, row.has_validation);

    ASSERT_EQ(warnings.size(), 1U) << row.shows << ": " << testing::PrintToString(warnings);
    EXPECT_THAT(warnings[0], HasSubstr(row.says)) << row.shows;
  }
}

TEST(IdleSettingsTest, AClassifierThatTrainsTheLayerToTheVocabularyIsTold) {
  Json json = Minimal();
  json["method"] = {{"lora", {{"modules_to_save", {"lm_head"}}}}};
  const families::Layout layout =
      families::MustRead(families::TinyLlamaConfig(/*tied=*/false), {"lm_head.weight"});
  const auto warnings = [&](const Json& job) {
    auto spec = Resolve(Must(job), layout);
    EXPECT_TRUE(spec.ok()) << spec.status();
    if (spec->task.kind == tasks::Kind::kSequenceClassification) spec->task = tasks::Labels(2);
    RunSize run = Usual();
    run.micro_batches = 7;
    run.total_steps = 21;
    return FindIdleSettings(*spec, layout, run);
  };

  EXPECT_THAT(warnings(json), testing::ElementsAre(
                                  HasSubstr("modules_to_save names lm_head, which has no effect")));
  EXPECT_THAT(warnings(Language(json)), testing::IsEmpty());
}

TEST(IdleSettingsTest, WhatTakesEffectIsNot) {
  for (const Row& row : Rows())
    EXPECT_THAT(Warnings(row.works, row.has_validation), testing::IsEmpty()) << row.shows;
  EXPECT_THAT(Warnings(Json::object(), true), testing::IsEmpty());
  EXPECT_THAT(Warnings(Json::object(), false), testing::IsEmpty());
}

}  // namespace
}  // namespace graft::spec
