// Every fault of a spec ends in INVALID_ARGUMENT with the path of its field.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/common/spec/support.h"

namespace graft::spec {
namespace {

using testing::HasSubstr;

/// A value that is refused at a path of the JSON.
struct Fault {
  const char* path;  ///< "/dataset/train"; the field's path is the same with dots.
  Json value;
};

std::string Dotted(std::string path) {
  for (char& c : path) {
    if (c == '/') c = '.';
  }
  return path.substr(1);
}

void ExpectRefused(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    const Status status = Refusal(MinimalWith(fault.path, fault.value));

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << fault.path << " " << fault.value;
    EXPECT_EQ(FieldOf(status), Dotted(fault.path)) << fault.value << " " << status;
    EXPECT_THAT(status.message(), HasSubstr(Dotted(fault.path))) << fault.value;
    EXPECT_LT(status.message().size(), 1024u) << fault.path;
  }
}

TEST(SpecRefusalTest, TheMinimumItselfIsFine) {
  EXPECT_TRUE(Refusal(Minimal()).ok()) << Refusal(Minimal());
}

TEST(SpecRefusalTest, WhatIsNoObject) {
  for (const Json& json : {Json(), Json(1), Json("spec"), Json::array({Minimal()})}) {
    EXPECT_EQ(Refusal(json).code(), StatusCode::kInvalidArgument) << json;
  }
}

TEST(SpecRefusalTest, MissingFields) {
  for (const char* field : {"base", "adapter", "method"}) {
    Json json = Minimal();
    json.erase(field);

    const Status status = Refusal(json);

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field;
    EXPECT_EQ(FieldOf(status), field);
    EXPECT_EQ(ReasonOf(status), "MISSING_FIELD") << field;
  }
  Json json = Minimal();
  json.erase("dataset");
  EXPECT_EQ(FieldOf(Refusal(json)), "dataset.train");
}

TEST(SpecRefusalTest, UnknownFieldsAtEveryLevel) {
  ExpectRefused({{"/bases", "minilm"},
                 {"/task/regression", Json::object()},
                 {"/task/causal_lm/labels", Json::array()},
                 {"/task/sequence_classification/labels", Json::array()},
                 {"/method/lora/r", 8},
                 {"/dataset/trian", "x"},
                 {"/hyperparameters/lr", 0.1}});
}

TEST(SpecRefusalTest, Names) {
  for (const char* field : {"base", "adapter"}) {
    for (const Json& name : {Json("a b"), Json("../etc"), Json("-a"), Json(".a"), Json("a/b"),
                             Json("a@1"), Json("\xC3\xA9")}) {
      const Status status = Refusal(MinimalWith("/" + std::string(field), name));

      EXPECT_EQ(FieldOf(status), field) << name;
      EXPECT_EQ(ReasonOf(status), "BAD_NAME") << name;
    }
    ExpectRefused({{field == std::string("base") ? "/base" : "/adapter", std::string(64, 'a')}});
  }
  EXPECT_TRUE(Refusal(MinimalWith("/base", "Upper")).ok()) << "as folders of the Hub are called";
  ExpectRefused({{"/adapter", "Upper"}});
  ExpectRefused({{"/base", 7}, {"/adapter", Json::array()}, {"/init_from", std::string(257, 'a')}});
}

TEST(SpecRefusalTest, Labels) {
  Json many = Json::object();
  for (int i = 0; i < 65; ++i) many[std::to_string(i)] = "x";
  for (const Json& labels :
       {Json::array(), Json("x"), Json(1), Json{{"a", 1}}, Json{{"a", nullptr}}, many,
        Json{{std::string(257, 'k'), "x"}}, Json{{"k", std::string(257, 'x')}}}) {
    const Status status = Refusal(MinimalWith("/labels", labels));

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << labels;
    EXPECT_EQ(FieldOf(status), "labels") << labels;
  }
  many.erase("0");
  EXPECT_EQ(Must(MinimalWith("/labels", many)).labels.size(), 64u);
}

TEST(SpecRefusalTest, OtherFieldsOfTheJob) {
  ExpectRefused({{"/priority", 101},
                 {"/priority", -101},
                 {"/priority", "high"},
                 {"/promote", 1},
                 {"/description", std::string(1025, 'x')},
                 {"/description", 3}});
}

TEST(SpecRefusalTest, Task) {
  ExpectRefused(
      {{"/task", "sequence_classification"},
       {"/task", Json::array()},
       {"/task/sequence_classification", 2},
       {"/task/sequence_classification/label_names", "yes"},
       {"/task/sequence_classification/label_names", {"only"}},
       {"/task/sequence_classification/label_names", {"a", "b", "a"}},
       {"/task/sequence_classification/label_names", {"a", Json(2)}},
       {"/task/sequence_classification/label_names", {"a", std::string(1025, 'x')}},
       {"/task/sequence_classification/label_names", std::vector<std::string>(10001, "x")}});
}

TEST(SpecRefusalTest, Method) {
  for (const Json& method : {Json::object(), Json("lora"), Json::array(), Json(1),
                             Json{{"lora", Json::object()}, {"full", Json::object()}}}) {
    const Status status = Refusal(MinimalWith("/method", method));

    EXPECT_EQ(FieldOf(status), "method") << method;
    EXPECT_EQ(ReasonOf(status), "MISSING_FIELD") << method;
    EXPECT_THAT(status.message(), HasSubstr("lora, bottleneck")) << method;
  }
  EXPECT_EQ(ReasonOf(Refusal(MinimalWith("/method", {{"dora", Json::object()}}))),
            "NO_SUCH_METHOD");
  ExpectRefused({{"/method/lora", nullptr}, {"/method/lora", 8}, {"/method/lora/rank", 0}});
}

TEST(SpecRefusalTest, Dataset) {
  ExpectRefused({{"/dataset", "file:///x.csv"},
                 {"/dataset/train", ""},
                 {"/dataset/train", 3},
                 {"/dataset/train", std::string(4097, 'x')},
                 {"/dataset/validation", std::string(4097, 'x')},
                 {"/dataset/test", 1},
                 {"/dataset/validation_fraction", 0.91},
                 {"/dataset/validation_fraction", -0.1},
                 {"/dataset/validation_fraction", "0.1"},
                 {"/dataset/test_fraction", 1},
                 {"/dataset/test_fraction", -1},
                 {"/dataset/text_columns", "text"},
                 {"/dataset/text_columns", {"a", "b", "c"}},
                 {"/dataset/text_columns", {std::string(1025, 'x')}},
                 {"/dataset/label_column", 3},
                 {"/dataset/label_column", std::string(1025, 'x')},
                 {"/dataset/format", "parquet"},
                 {"/dataset/format", "xlsx"},
                 {"/dataset/has_header", "no"},
                 {"/dataset/max_examples", -1},
                 {"/dataset/max_examples", 1.5},
                 {"/dataset/max_examples", (int64_t{1} << 40) + 1}});
}

TEST(SpecRefusalTest, ColumnsOfAnotherTask) {
  for (const char* column :
       {"prompt_column", "completion_column", "messages_column", "tools_column"}) {
    const std::string path = std::string("/dataset/") + column;
    ExpectRefused({{path.c_str(), "x"}});
    Json json = MinimalWith("/task/causal_lm", Json::object());
    json["dataset"][column] = "x";
    EXPECT_TRUE(Refusal(json).ok()) << Refusal(json);
    json["dataset"][column] = std::string(1025, 'x');
    EXPECT_EQ(FieldOf(Refusal(json)), std::string("dataset.") + column);
  }
}

TEST(SpecRefusalTest, ALanguageModelsColumnsOfTwoShapes) {
  const auto field = [](Json dataset) {
    dataset["train"] = "file:///t.jsonl";
    return FieldOf(DatasetFromJson(dataset, tasks::Kind::kCausalLanguageModeling).status());
  };

  EXPECT_EQ(field({{"text_columns", {"t"}}, {"prompt_column", "p"}}), "dataset.prompt_column");
  EXPECT_EQ(field({{"text_columns", {"t"}}, {"completion_column", "c"}}),
            "dataset.completion_column");
  EXPECT_EQ(field({{"prompt_column", "p"}, {"messages_column", "m"}}), "dataset.messages_column");
  EXPECT_EQ(field({{"completion_column", "p"}, {"tools_column", "t"}}), "dataset.tools_column");
  EXPECT_EQ(field({{"text_columns", {"a", "b"}}}), "dataset.text_columns");
  EXPECT_EQ(field({{"label_column", "l"}}), "dataset.label_column");
  EXPECT_EQ(field({{"prompt_column", "p"}, {"completion_column", "c"}}), "");
  EXPECT_EQ(field({{"messages_column", "m"}, {"tools_column", "t"}}), "");
}

TEST(SpecRefusalTest, SamplesNeedEvaluations) {
  EXPECT_EQ(FieldOf(Refusal(MinimalWith("/task/causal_lm/samples", {"x"}))),
            "task.causal_lm.samples");
  EXPECT_TRUE(Refusal(MinimalWithValidation("/task/causal_lm/samples", {"x"})).ok());
}

TEST(SpecRefusalTest, SplitsThatContradictEachOther) {
  const auto field = [](Json dataset) {
    dataset["train"] = "file:///t.csv";
    return FieldOf(DatasetFromJson(dataset).status());
  };

  EXPECT_EQ(field({{"validation", "file:///v.csv"}, {"validation_fraction", 0.1}}),
            "dataset.validation_fraction");
  EXPECT_EQ(field({{"test", "file:///v.csv"}, {"test_fraction", 0.1}}), "dataset.test_fraction");
  EXPECT_EQ(field({{"validation_fraction", 0.5}, {"test_fraction", 0.46}}),
            "dataset.test_fraction");
  EXPECT_EQ(field({{"validation_fraction", 0.5}, {"test_fraction", 0.45}}), "");
  EXPECT_EQ(field({{"validation", "file:///v.csv"}, {"test_fraction", 0.1}}), "");
}

TEST(SpecRefusalTest, ADatasetAlone) {
  EXPECT_EQ(FieldOf(DatasetFromJson(Json::object()).status()), "dataset.train");
  EXPECT_EQ(FieldOf(DatasetFromJson(Json()).status()), "dataset");
  const auto dataset = DatasetFromJson({{"train", "file:///t.csv"}});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train, "file:///t.csv");
  EXPECT_EQ(dataset->label_column, "label");
}

TEST(SpecRefusalTest, Steps) {
  ExpectRefused({{"/hyperparameters", 3},
                 {"/hyperparameters/epochs", 0},
                 {"/hyperparameters/epochs", -1},
                 {"/hyperparameters/epochs", 10001},
                 {"/hyperparameters/epochs", "3"},
                 {"/hyperparameters/max_steps", -1},
                 {"/hyperparameters/max_steps", 1.5},
                 {"/hyperparameters/max_steps", (int64_t{1} << 40) + 1},
                 {"/hyperparameters/batch_size", 0},
                 {"/hyperparameters/batch_size", (1 << 20) + 1},
                 {"/hyperparameters/batch_tokens", -1},
                 {"/hyperparameters/batch_tokens", (int64_t{1} << 30) + 1},
                 {"/hyperparameters/gradient_accumulation_steps", 0},
                 {"/hyperparameters/gradient_accumulation_steps", (1 << 20) + 1},
                 {"/hyperparameters/max_length", -1},
                 {"/hyperparameters/max_length", 3},
                 {"/hyperparameters/max_length", (1 << 20) + 1}});
}

TEST(SpecRefusalTest, EpochsAndMaxStepsTogetherWhateverTheEpochs) {
  for (const Json& epochs : {Json(1), Json(3), Json(3.0), Json(0.5)}) {
    Json json = MinimalWith("/hyperparameters/epochs", epochs);
    json["hyperparameters"]["max_steps"] = 10;

    EXPECT_EQ(FieldOf(Refusal(json)), "hyperparameters.max_steps") << epochs;
  }
}

TEST(SpecRefusalTest, MaxStepsOfZeroIsNone) {
  Json json = MinimalWith("/hyperparameters/epochs", 2);
  json["hyperparameters"]["max_steps"] = 0;

  EXPECT_EQ(Must(json).hyperparameters.epochs, 2);
}

TEST(SpecRefusalTest, Optimizer) {
  ExpectRefused({{"/hyperparameters/learning_rate", 0},
                 {"/hyperparameters/learning_rate", -1e-3},
                 {"/hyperparameters/learning_rate", 1.001},
                 {"/hyperparameters/learning_rate", 1e300},
                 {"/hyperparameters/learning_rate", "fast"},
                 {"/hyperparameters/lr_schedule", "POLYNOMIAL"},
                 {"/hyperparameters/lr_schedule", "step"},
                 {"/hyperparameters/lr_schedule", 1},
                 {"/hyperparameters/warmup_steps", -1},
                 {"/hyperparameters/warmup_steps", (int64_t{1} << 40) + 1},
                 {"/hyperparameters/warmup_ratio", 1},
                 {"/hyperparameters/warmup_ratio", -0.1},
                 {"/hyperparameters/weight_decay", -0.1},
                 {"/hyperparameters/weight_decay", 1.1},
                 {"/hyperparameters/adam_beta1", 1},
                 {"/hyperparameters/adam_beta1", -0.1},
                 {"/hyperparameters/adam_beta2", 1},
                 {"/hyperparameters/adam_epsilon", 0},
                 {"/hyperparameters/adam_epsilon", 1.1},
                 {"/hyperparameters/max_grad_norm", -1},
                 {"/hyperparameters/max_grad_norm", 2e9},
                 {"/hyperparameters/seed", -1},
                 {"/hyperparameters/seed", 1.5},
                 {"/hyperparameters/seed", "18446744073709551616"}});
}

TEST(SpecRefusalTest, BothKindsOfWarmup) {
  Json json = MinimalWith("/hyperparameters/warmup_steps", 5);
  json["hyperparameters"]["warmup_ratio"] = 0.1;

  EXPECT_EQ(FieldOf(Refusal(json)), "hyperparameters.warmup_ratio");
}

TEST(SpecRefusalTest, RunOptions) {
  ExpectRefused({{"/hyperparameters/evaluations_per_epoch", -1},
                 {"/hyperparameters/evaluations_per_epoch", 1e7},
                 {"/hyperparameters/early_stopping_patience", -1},
                 {"/hyperparameters/early_stopping_patience", (1 << 20) + 1},
                 {"/hyperparameters/precision", "FP16"},
                 {"/hyperparameters/exact", "yes"},
                 {"/hyperparameters/keep_checkpoints", -1},
                 {"/hyperparameters/keep_checkpoints", 101},
                 {"/hyperparameters/checkpoint_seconds", -1},
                 {"/hyperparameters/checkpoint_seconds", (int64_t{1} << 30) + 1},
                 {"/hyperparameters/max_run_seconds", -1},
                 {"/hyperparameters/max_run_seconds", (int64_t{1} << 40) + 1}});
}

TEST(SpecRefusalTest, WhatNeedsValidationData) {
  ExpectRefused(
      {{"/hyperparameters/early_stopping_patience", 1}, {"/hyperparameters/keep_best", true}});
  for (const char* path :
       {"/hyperparameters/early_stopping_patience", "/hyperparameters/keep_best"}) {
    const Json value = std::string(path).ends_with("best") ? Json(true) : Json(2);
    Json with_file = MinimalWith(path, value);
    with_file["dataset"]["validation"] = "file:///v.csv";

    EXPECT_TRUE(Refusal(with_file).ok()) << Refusal(with_file);
    EXPECT_TRUE(Refusal(MinimalWithValidation(path, value)).ok()) << path;
  }
}

}  // namespace
}  // namespace graft::spec
