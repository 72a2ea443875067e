#include "common/spec/job_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/sha256.h"
#include "tests/common/spec/support.h"

namespace graft::spec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Every field set to something that isn't its default.
Json Everything() {
  return Json::parse(R"({
    "base": "minilm", "adapter": "support", "init_from": "adapters/support/versions/2",
    "task": {"sequence_classification": {"label_names": ["no", "yes", "maybe"]}},
    "method": {"bottleneck": {"placement": "PFEIFFER", "size": 6, "activation": "gelu",
      "init_std": 0.5, "dropout": 0.25, "unfreeze_base": false, "residual": true,
      "freeze_head": true}},
    "dataset": {"train": "file:///t.csv", "validation": "file:///v.csv", "test": "file:///e.csv",
      "validation_fraction": 0.0, "test_fraction": 0.0, "text_columns": ["a", "b"],
      "label_column": "c", "format": "csv", "has_header": false, "max_examples": 77},
    "hyperparameters": {"max_steps": 9, "batch_size": 3, "batch_tokens": 4096,
      "gradient_accumulation_steps": 2, "learning_rate": 0.25, "lr_schedule": "COSINE",
      "warmup_steps": 5, "warmup_ratio": 0.0, "weight_decay": 0.5, "adam_beta1": 0.5,
      "adam_beta2": 0.75, "adam_epsilon": 0.125, "max_grad_norm": 2.0,
      "seed": 18446744073709551615, "max_length": 33, "evaluations_per_epoch": 2.5,
      "early_stopping_patience": 4, "keep_best": false, "precision": "BF16", "exact": false,
      "keep_checkpoints": 6, "checkpoint_seconds": 7, "max_run_seconds": 8},
    "priority": -5, "labels": {"team": "a", "x": ""}, "promote": true, "description": "why"})");
}

/// The same of a language model's job, where they differ.
Json EverythingOfLanguage() {
  Json json = Everything();
  json["task"] = {{"causal_lm",
                   {{"loss_on", "ALL"},
                    {"chat_template", "{{ messages }}"},
                    {"chat_template_variables", {{"enable_thinking", false}}},
                    {"samples", {"Once"}}}}};
  json["dataset"].update({{"text_columns", Json::array()},
                          {"label_column", ""},
                          {"messages_column", "m"},
                          {"tools_column", "t"}});
  return json;
}

TEST(JobSpecTest, AbsentFieldsTakeTheProtosDefaults) {
  const JobSpec spec = Must(Minimal());

  const Hyperparameters& hp = spec.hyperparameters;
  EXPECT_EQ(hp.epochs, 3);
  EXPECT_EQ(hp.max_steps, 0);
  EXPECT_EQ(hp.batch_size, 16);
  EXPECT_EQ(hp.batch_tokens, 0);
  EXPECT_EQ(hp.gradient_accumulation_steps, 1);
  EXPECT_EQ(hp.lr_schedule, LrSchedule::kLinear);
  EXPECT_EQ(hp.warmup_steps, 0);
  EXPECT_EQ(hp.warmup_ratio, 0);
  EXPECT_EQ(hp.weight_decay, 0);
  EXPECT_EQ(hp.adam_beta1, 0.9);
  EXPECT_EQ(hp.adam_beta2, 0.999);
  EXPECT_EQ(hp.adam_epsilon, 1e-8);
  EXPECT_EQ(hp.max_grad_norm, 1);
  EXPECT_EQ(hp.seed, 42u);
  EXPECT_EQ(hp.evaluations_per_epoch, 1);
  EXPECT_EQ(hp.early_stopping_patience, 0);
  EXPECT_FALSE(hp.keep_best);
  EXPECT_EQ(hp.precision, Precision::kAuto);
  EXPECT_TRUE(hp.exact);
  EXPECT_EQ(hp.keep_checkpoints, 0);
  EXPECT_EQ(hp.checkpoint_seconds, 30);
  EXPECT_EQ(hp.max_run_seconds, 0);
  EXPECT_THAT(spec.dataset.text_columns, ElementsAre("text"));
  EXPECT_EQ(spec.dataset.label_column, "label");
  EXPECT_EQ(spec.dataset.format, "");
  EXPECT_TRUE(spec.dataset.has_header);
  EXPECT_EQ(spec.dataset.max_examples, 0);
  EXPECT_TRUE(spec.task.label_names.empty());
  EXPECT_TRUE(spec.labels.empty());
  EXPECT_EQ(spec.priority, 0);
  EXPECT_FALSE(spec.promote);
  EXPECT_EQ(spec.description, "");
  EXPECT_EQ(spec.init_from, "");
}

TEST(JobSpecTest, EveryFieldIsRead) {
  const JobSpec spec = Must(Everything());

  EXPECT_EQ(spec.base, "minilm");
  EXPECT_EQ(spec.adapter, "support");
  EXPECT_EQ(spec.init_from, "adapters/support/versions/2");
  EXPECT_THAT(spec.task.label_names, ElementsAre("no", "yes", "maybe"));
  EXPECT_EQ(spec.method->name(), "bottleneck");
  EXPECT_EQ(spec.dataset.validation, "file:///v.csv");
  EXPECT_EQ(spec.dataset.test, "file:///e.csv");
  EXPECT_THAT(spec.dataset.text_columns, ElementsAre("a", "b"));
  EXPECT_FALSE(spec.dataset.has_header);
  EXPECT_EQ(spec.dataset.max_examples, 77);
  EXPECT_EQ(spec.hyperparameters.max_steps, 9);
  EXPECT_EQ(spec.hyperparameters.lr_schedule, LrSchedule::kCosine);
  EXPECT_EQ(spec.hyperparameters.seed, UINT64_MAX);
  EXPECT_EQ(spec.hyperparameters.precision, Precision::kBf16);
  EXPECT_EQ(spec.hyperparameters.max_length, 33);
  EXPECT_FALSE(spec.hyperparameters.keep_best);
  EXPECT_FALSE(spec.hyperparameters.exact);
  EXPECT_EQ(spec.priority, -5);
  EXPECT_EQ(spec.labels, (std::map<std::string, std::string>{{"team", "a"}, {"x", ""}}));
  EXPECT_TRUE(spec.promote);
  EXPECT_EQ(spec.description, "why");
}

TEST(JobSpecTest, EveryFieldIsWritten) {
  EXPECT_EQ(Must(Everything()).ToJson(), Everything());
  EXPECT_EQ(Must(EverythingOfLanguage()).ToJson(), EverythingOfLanguage());
}

TEST(JobSpecTest, ALanguageModelsColumnsAreOnlyThoseThatWereAskedFor) {
  const JobSpec spec = Must(MinimalWith("/task/causal_lm", Json::object()));

  EXPECT_TRUE(spec.dataset.text_columns.empty());
  EXPECT_EQ(spec.dataset.label_column, "");
  EXPECT_FALSE(spec.dataset.names_language_column());
  EXPECT_TRUE(Must(EverythingOfLanguage()).dataset.names_language_column());
  EXPECT_FALSE(spec.ToJson()["dataset"].contains("prompt_column"));
}

TEST(JobSpecTest, TheHashOfARequestIsWrittenDownHere) {
  // Rows of jobs are known by it: a client that asks again after an upgrade gets its first job.
  EXPECT_EQ(Sha256Hex(Must(Minimal()).ToJson().dump()),
            "a7676affe306fe68a183293f3a433f14f1e8414a128cdb6fb44df997d331cf93");
  EXPECT_EQ(Sha256Hex(Must(Everything()).ToJson().dump()),
            "b8cc02690c465f96e31b62c832c7eee2edf9a6f6ffaa1a8a2f939dcdd5b41b6f");
}

TEST(JobSpecTest, TheWrittenFormReadsBackAsItself) {
  const families::Layout layout = families::MustRead(families::MiniLmConfig());
  const auto resolved = Resolve(Must(Minimal()), layout);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  for (const JobSpec& spec :
       {Must(Minimal()), Must(Everything()), *resolved,
        Must(MinimalWithValidation("/hyperparameters/early_stopping_patience", 3))}) {
    const Json written = spec.ToJson();

    EXPECT_EQ(Must(Json::parse(written.dump())).ToJson(), written);
  }
}

TEST(JobSpecTest, AResolvedSpecResolvesToItself) {
  const families::Layout layout = families::MustRead(families::MiniLmConfig());
  const auto once = Resolve(Must(Minimal()), layout);
  ASSERT_TRUE(once.ok()) << once.status();

  const auto twice = Resolve(Must(once->ToJson()), layout);

  ASSERT_TRUE(twice.ok()) << twice.status();
  EXPECT_EQ(twice->ToJson(), once->ToJson());
}

TEST(JobSpecTest, WhatIsUnresolvedStaysOpenInTheJson) {
  const Json hyperparameters = Must(Minimal()).ToJson()["hyperparameters"];

  EXPECT_FALSE(hyperparameters.contains("learning_rate"));
  EXPECT_FALSE(hyperparameters.contains("max_length"));
  EXPECT_FALSE(hyperparameters.contains("max_steps"));
  EXPECT_EQ(hyperparameters["epochs"], 3);
}

TEST(JobSpecTest, NumbersMayBeTextsAsProtobufWritesThem) {
  Json json = MinimalWith("/hyperparameters/max_steps", "12");
  json["hyperparameters"]["seed"] = "18446744073709551615";
  json["dataset"]["max_examples"] = "7";

  const JobSpec spec = Must(json);

  EXPECT_EQ(spec.hyperparameters.max_steps, 12);
  EXPECT_EQ(spec.hyperparameters.seed, UINT64_MAX);
  EXPECT_EQ(spec.dataset.max_examples, 7);
}

TEST(JobSpecTest, EnumsAreReadByName) {
  for (const auto& [name, schedule] : {std::pair{"LINEAR", LrSchedule::kLinear},
                                       {"COSINE", LrSchedule::kCosine},
                                       {"CONSTANT", LrSchedule::kConstant},
                                       {"LR_SCHEDULE_UNSPECIFIED", LrSchedule::kLinear}}) {
    EXPECT_EQ(Must(MinimalWith("/hyperparameters/lr_schedule", name)).hyperparameters.lr_schedule,
              schedule)
        << name;
  }
  for (const auto& [name, precision] : {std::pair{"AUTO", Precision::kAuto},
                                        {"FP32", Precision::kFp32},
                                        {"BF16", Precision::kBf16},
                                        {"PRECISION_UNSPECIFIED", Precision::kAuto}}) {
    EXPECT_EQ(Must(MinimalWith("/hyperparameters/precision", name)).hyperparameters.precision,
              precision)
        << name;
  }
}

TEST(JobSpecTest, KeepBestFollowsEarlyStopping) {
  const auto keep_best = [](const Json& json) { return Must(json).hyperparameters.keep_best; };

  EXPECT_TRUE(keep_best(MinimalWithValidation("/hyperparameters/early_stopping_patience", 1)));
  EXPECT_FALSE(keep_best(MinimalWithValidation("/hyperparameters/early_stopping_patience", 0)));
  EXPECT_TRUE(keep_best(MinimalWithValidation("/hyperparameters/keep_best", true)));
}

TEST(JobSpecTest, BoundsAreAllowed) {
  for (const auto& [path, value] : {std::pair<const char*, Json>{"/hyperparameters/epochs", 10000},
                                    {"/hyperparameters/epochs", 0.01},
                                    {"/hyperparameters/learning_rate", 1},
                                    {"/hyperparameters/learning_rate", 1e-12},
                                    {"/hyperparameters/warmup_ratio", 0.999},
                                    {"/hyperparameters/weight_decay", 1},
                                    {"/hyperparameters/max_grad_norm", 0},
                                    {"/hyperparameters/max_length", 4},
                                    {"/hyperparameters/evaluations_per_epoch", 0},
                                    {"/hyperparameters/seed", 0},
                                    {"/dataset/validation_fraction", 0.9},
                                    {"/priority", 100},
                                    {"/priority", -100},
                                    {"/adapter", std::string(63, 'a')},
                                    {"/description", std::string(1024, 'a')}}) {
    EXPECT_TRUE(Refusal(MinimalWith(path, value)).ok()) << path << " " << value;
  }
}

TEST(JobSpecResolveTest, WhatDependsOnTheBaseIsFilledIn) {
  const families::Layout layout = families::MustRead(families::MiniLmConfig());

  const auto spec = Resolve(Must(Minimal()), layout);

  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->hyperparameters.learning_rate, spec->method->default_learning_rate());
  EXPECT_GT(spec->hyperparameters.learning_rate, 0);
  EXPECT_EQ(spec->hyperparameters.max_length, 512);
  EXPECT_EQ(spec->method->ToJson()["target_modules"], Json({"query", "value"}));
}

TEST(JobSpecResolveTest, TheLearningRateIsTheMethods) {
  const families::Layout layout = families::MustRead(families::MiniLmConfig());
  for (const auto& [method, rate] : {std::pair<Json, double>{{{"full", Json::object()}}, 5e-5},
                                     {{{"last_layers", Json::object()}}, 1e-3},
                                     {{{"bottleneck", Json::object()}}, 1e-3},
                                     {{{"bottleneck", {{"unfreeze_base", true}}}}, 5e-5}}) {
    const auto spec = Resolve(Must(MinimalWith("/method", method)), layout);

    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->hyperparameters.learning_rate, rate) << method;
  }
}

TEST(JobSpecResolveTest, WhatIsSetIsKept) {
  Json json = MinimalWith("/hyperparameters/learning_rate", 0.125);
  json["hyperparameters"]["max_length"] = 17;

  const auto spec = Resolve(Must(json), families::MustRead(families::MiniLmConfig()));

  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->hyperparameters.learning_rate, 0.125);
  EXPECT_EQ(spec->hyperparameters.max_length, 17);
}

TEST(JobSpecResolveTest, MaxLengthIsAtMostWhatTheBaseReadsAndByDefaultAtMost512) {
  const auto resolved = [](const Json& json, int positions) {
    return Resolve(Must(json),
                   families::MustRead(families::With(families::TinyBertConfig(),
                                                     "max_position_embeddings", positions)));
  };

  EXPECT_EQ(resolved(Minimal(), 40)->hyperparameters.max_length, 40);
  EXPECT_EQ(resolved(Minimal(), 2048)->hyperparameters.max_length, 512);
  EXPECT_TRUE(resolved(MinimalWith("/hyperparameters/max_length", 2048), 2048).ok());
  const Status status = resolved(MinimalWith("/hyperparameters/max_length", 41), 40).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "hyperparameters.max_length");
  EXPECT_THAT(status.message(), HasSubstr("at most 40 tokens"));
}

TEST(JobSpecResolveTest, TheMethodsOwnChecksApply) {
  const Json json = MinimalWith("/method/lora/target_modules", {"q_proj"});

  const Status status = Resolve(Must(json), families::MustRead(families::MiniLmConfig())).status();

  EXPECT_EQ(FieldOf(status), "method.lora.target_modules");
}

}  // namespace
}  // namespace graft::spec
