#include "common/tasks/task_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/details.h"

namespace graft::tasks {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TaskSpec Must(const Json& json) {
  auto task = Parse(json);
  EXPECT_TRUE(task.ok()) << task.status() << " " << json;
  return task.ok() ? *std::move(task) : TaskSpec{};
}

Json WithLabels(Json labels) {
  return {{"sequence_classification", {{"label_names", std::move(labels)}}}};
}

TEST(TaskSpecTest, NothingSaidIsClassificationByTheDatasLabels) {
  for (const Json& json : {Json::object(), Json{{"sequence_classification", nullptr}},
                           Json{{"sequence_classification", Json::object()}}}) {
    EXPECT_EQ(Must(json), TaskSpec{}) << json;
  }
  EXPECT_EQ(TaskSpec{}.kind, Kind::kSequenceClassification);
  EXPECT_TRUE(TaskSpec{}.label_names.empty());
}

TEST(TaskSpecTest, LabelsAreReadInTheirOrder) {
  const TaskSpec task = Must(WithLabels({"yes", "no", "maybe"}));

  EXPECT_THAT(task.label_names, ElementsAre("yes", "no", "maybe"));
  EXPECT_EQ(task.outputs(), 3);
  EXPECT_EQ(task, Classification({"yes", "no", "maybe"}));
}

TEST(TaskSpecTest, TheWrittenFormIsTheProtosAndReadsBackAsItself) {
  EXPECT_EQ(TaskSpec{}.ToJson(), WithLabels(Json::array()));
  const TaskSpec task = Classification({"b", "a"});

  EXPECT_EQ(task.ToJson(), WithLabels({"b", "a"}));
  EXPECT_EQ(Must(task.ToJson()), task);
}

Json Language(Json fields) { return {{"causal_lm", std::move(fields)}}; }

TEST(TaskSpecTest, ALanguageModelsFieldsReadBackAsTheyWereAndDefaultsAreNotWritten) {
  EXPECT_EQ(Must(Language(Json::object())).ToJson(), Language(Json::object()));
  EXPECT_EQ(
      Must(Language({{"loss_on", "LOSS_ON_UNSPECIFIED"}, {"samples", Json::array()}})).ToJson(),
      Language(Json::object()));
  const Json all = Language({{"loss_on", "ALL"},
                             {"chat_template", "{{ messages }}"},
                             {"chat_template_variables", {{"enable_thinking", false}, {"n", 3}}},
                             {"samples", {"Once upon"}},
                             {"sample_tokens", 100}});

  const TaskSpec task = Must(all);

  EXPECT_EQ(task.language.loss_on, LossOn::kAll);
  EXPECT_EQ(task.language.sample_tokens, 100);
  EXPECT_EQ(task.ToJson(), all);
  EXPECT_EQ(Must(task.ToJson()), task);
}

TEST(TaskSpecTest, HowLongSamplesAreIsOfSamplesAlone) {
  const Json plain = Language({{"samples", {"x"}}});
  EXPECT_EQ(Must(plain).language.sample_tokens, kDefaultSampleTokens);
  for (const int same : {0, kDefaultSampleTokens})
    EXPECT_EQ(Must(Language({{"samples", {"x"}}, {"sample_tokens", same}})).ToJson(), plain);

  EXPECT_EQ(FieldOf(Parse(Language({{"sample_tokens", 5}})).status()),
            "task.causal_lm.sample_tokens");
  for (const int wrong : {-1, 1025}) {
    const Json json = Language({{"samples", {"x"}}, {"sample_tokens", wrong}});
    EXPECT_EQ(FieldOf(Parse(json).status()), "task.causal_lm.sample_tokens") << wrong;
  }
}

TEST(TaskSpecTest, AVersionSaysNothingOfHowItWasTrainedButWhatItsChatsHave) {
  Json fields = {{"loss_on", "ALL"}, {"samples", {"x"}}};
  EXPECT_EQ(Must(Language(fields)).OfVersion().ToJson(), Language(Json::object()));

  const Json variables = {{"chat_template_variables", {{"enable_thinking", false}}}};
  fields.update(variables);
  EXPECT_EQ(Must(Language(fields)).OfVersion().ToJson(), Language(variables));
  EXPECT_EQ(Classification({"a", "b"}).OfVersion(), Classification({"a", "b"}));
}

TEST(TaskSpecTest, ALanguageModelsFaultsAreRefusedByTheirField) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"loss_on", "answer"},
                                     {"chat_template", 5},
                                     {"chat_template", std::string((1 << 20) + 1, 'x')},
                                     {"chat_template_variables", Json::array()},
                                     {"chat_template_variables", {{"a", std::string(70000, 'x')}}},
                                     {"samples", std::vector<std::string>(9, "x")},
                                     {"samples", {""}},
                                     {"samples", {std::string(17 << 10, 'x')}},
                                     {"label_names", {"a", "b"}}}) {
    EXPECT_EQ(FieldOf(Parse(Language({{field, value}})).status()),
              std::string("task.causal_lm.") + field);
  }
}

TEST(TaskSpecTest, WhatCannotBeIsRefusedByItsField) {
  const std::string labels = "task.sequence_classification.label_names";
  for (const auto& [json, field] :
       {std::pair<Json, std::string>{WithLabels({"a", "b", "a"}), labels},
        {WithLabels({"one"}), labels},
        {WithLabels("a"), labels},
        {WithLabels(Json::array({1, 2})), labels},
        {WithLabels({std::string(1025, 'a'), "b"}), labels},
        {{{"sequence_classification", 5}}, "task.sequence_classification"},
        {{{"sequence_classification", {{"labels", 2}}}}, "task.sequence_classification.labels"},
        {{{"regression", Json::object()}}, "task.regression"},
        {Json::array(), "task"}}) {
    const Status status = Parse(json).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << json;
    EXPECT_EQ(FieldOf(status), field) << json;
  }
}

TEST(TaskSpecTest, AnUnknownKindIsToldWhichThereAre) {
  const Status status = Parse({{"regression", Json::object()}}).status();

  EXPECT_THAT(status.message(), HasSubstr("there are causal_lm, sequence_classification"));
}

TEST(TaskSpecTest, ADifferenceIsToldInWords) {
  const TaskSpec from = Classification({"no", "y\x1Bs"});

  EXPECT_EQ(Difference(from, from), "");
  EXPECT_EQ(Difference(from, Classification({"y\x1Bs", "no"})),
            "its labels are no, y\\u001bs, in this order");
  std::vector<std::string> many;
  for (int i = 0; i < 25; ++i) many.push_back(std::to_string(i));
  EXPECT_THAT(Difference(Classification(many), from), HasSubstr("18, 19 and 5 more, in this"));
}

TEST(TaskSpecTest, NamesOfOtherLibrariesAreTheirs) {
  const KindNames& names = NamesOf(Kind::kSequenceClassification);

  EXPECT_STREQ(names.peft_task_type, "SEQ_CLS");
  EXPECT_STREQ(names.hub_head_type, "classification");
  EXPECT_STREQ(names.class_suffix, "ForSequenceClassification");
}

}  // namespace
}  // namespace graft::tasks
