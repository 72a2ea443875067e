#include "server/rest/finetuning_request.h"

#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/must.h"

namespace graft::server::rest {
namespace {

using graft::v1::JobSpec;
using ::testing::ElementsAre;
using ::testing::Pair;

const std::string kHash(64, 'a');

Json Body(const Json& more) {
  Json body = {{"model", "smollm2"}, {"training_file", "file-" + kHash}, {"suffix", "support"}};
  body.update(more);
  return body;
}
FinetuningRequest Read(const Json& more = Json::object()) {
  return graft::testing::Must(ReadFinetuningRequest(Body(more)));
}
JobSpec SpecOf(const Json& more = Json::object()) { return Read(more).create.spec(); }

Json Supervised(const Json& hyperparameters) {
  return {
      {"method", {{"type", "supervised"}, {"supervised", {{"hyperparameters", hyperparameters}}}}}};
}

TEST(FinetuningRequestTest, AModelAFileAndANameAreEnough) {
  const FinetuningRequest request = Read();

  EXPECT_EQ(request.model, "smollm2");
  EXPECT_EQ(request.create.spec().adapter(), "support");
  EXPECT_EQ(request.create.spec().dataset().train(), "graft://datasets/" + kHash);
  EXPECT_TRUE(request.create.spec().method().has_lora());
  EXPECT_FALSE(request.names_task);
  EXPECT_FALSE(request.learning_rate_multiplier.has_value());
}

TEST(FinetuningRequestTest, AFileMayBeAUri) {
  const JobSpec spec =
      SpecOf({{"training_file", "file:///data/train.jsonl"}, {"validation_file", "file-" + kHash}});

  EXPECT_EQ(spec.dataset().train(), "file:///data/train.jsonl");
  EXPECT_EQ(spec.dataset().validation(), "graft://datasets/" + kHash);
}

TEST(FinetuningRequestTest, HyperparametersStandInEitherPlace) {
  const Json said = {{"n_epochs", 3}, {"batch_size", 8}, {"learning_rate_multiplier", 0.5}};
  for (const Json& more : {Json{{"hyperparameters", said}}, Supervised(said)}) {
    const FinetuningRequest request = Read(more);

    EXPECT_EQ(request.create.spec().hyperparameters().epochs(), 3);
    EXPECT_EQ(request.create.spec().hyperparameters().batch_size(), 8);
    EXPECT_EQ(request.learning_rate_multiplier, 0.5);
  }
}

TEST(FinetuningRequestTest, AutoIsAsGoodAsNothing) {
  const FinetuningRequest request = Read(
      {{"hyperparameters",
        {{"n_epochs", "auto"}, {"batch_size", "auto"}, {"learning_rate_multiplier", "auto"}}}});

  EXPECT_FALSE(request.create.spec().hyperparameters().has_epochs());
  EXPECT_FALSE(request.create.spec().hyperparameters().has_batch_size());
  EXPECT_FALSE(request.learning_rate_multiplier.has_value());
}

TEST(FinetuningRequestTest, TheSeedIsTheJobs) {
  EXPECT_EQ(SpecOf({{"seed", 7}}).hyperparameters().seed(), 7U);
}

TEST(FinetuningRequestTest, MetadataAreLabels) {
  EXPECT_THAT(SpecOf({{"metadata", {{"team", "a"}}}}).labels(), ElementsAre(Pair("team", "a")));
}

TEST(FinetuningRequestTest, MetadataStandBesideGraftsLabels) {
  const JobSpec spec = SpecOf({{"metadata", {{"a", "1"}}}, {"graft", {{"labels", {{"b", "2"}}}}}});

  EXPECT_EQ(spec.labels().at("a"), "1");
  EXPECT_EQ(spec.labels().at("b"), "2");
}

TEST(FinetuningRequestTest, GraftsOwnPartIsASpec) {
  const FinetuningRequest request = Read({{"suffix", nullptr},
                                          {"graft",
                                           {{"adapter", "own"},
                                            {"request_id", "r1"},
                                            {"validate_only", true},
                                            {"method", {{"full", Json::object()}}},
                                            {"task", {{"causal_lm", Json::object()}}},
                                            {"dataset", {{"validation_fraction", 0.25}}},
                                            {"hyperparameters", {{"learning_rate", 0.001}}},
                                            {"promote", true}}}});

  const JobSpec& spec = request.create.spec();
  EXPECT_EQ(spec.adapter(), "own");
  EXPECT_EQ(request.create.request_id(), "r1");
  EXPECT_TRUE(request.create.validate_only());
  EXPECT_TRUE(spec.method().has_full());
  EXPECT_TRUE(request.names_task);
  EXPECT_EQ(spec.dataset().train(), "graft://datasets/" + kHash);
  EXPECT_EQ(spec.dataset().validation_fraction(), 0.25);
  EXPECT_EQ(spec.hyperparameters().learning_rate(), 0.001);
  EXPECT_TRUE(spec.promote());
}

TEST(FinetuningRequestTest, WhatIsSaidTwiceMayAgree) {
  EXPECT_EQ(SpecOf({{"hyperparameters", {{"n_epochs", 3}}},
                    {"graft", {{"hyperparameters", {{"epochs", 3.0}}}}}})
                .hyperparameters()
                .epochs(),
            3);
  EXPECT_EQ(SpecOf({{"seed", 7}, {"graft", {{"hyperparameters", {{"seed", 7}}}}}})
                .hyperparameters()
                .seed(),
            7U);
}

struct Row {
  const char* name;
  Json more;
  const char* field;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::vector<Row> Rows() {
  return {
      {"NoModel", {{"model", nullptr}}, "model"},
      {"NoFile", {{"training_file", nullptr}}, "training_file"},
      {"FileOfAnotherType", {{"training_file", 1}}, "training_file"},
      {"FileOfNoHash", {{"training_file", "file-abc"}}, "training_file"},
      {"FileByName", {{"validation_file", "train.jsonl"}}, "validation_file"},
      {"NoSuffix", {{"suffix", nullptr}}, "suffix"},
      {"SuffixesDiffer", {{"graft", {{"adapter", "other"}}}}, "suffix"},
      {"FilesDiffer", {{"graft", {{"dataset", {{"train", "file:///x"}}}}}}, "training_file"},
      {"SeedAText", {{"seed", "x"}}, "seed"},
      {"SeedsDiffer", {{"seed", 7}, {"graft", {{"hyperparameters", {{"seed", 8}}}}}}, "seed"},
      {"HyperparametersOfAnotherType", {{"hyperparameters", 1}}, "hyperparameters"},
      {"NoEpochs", {{"hyperparameters", {{"n_epochs", 0}}}}, "hyperparameters.n_epochs"},
      {"UnknownHyperparameter", {{"hyperparameters", {{"beta", 0.1}}}}, "hyperparameters.beta"},
      {"BatchOfAHalf", Supervised({{"batch_size", 0.5}}),
       "method.supervised.hyperparameters.batch_size"},
      {"EpochsDiffer",
       {{"hyperparameters", {{"n_epochs", 3}}}, {"graft", {{"hyperparameters", {{"epochs", 4}}}}}},
       "hyperparameters.n_epochs"},
      {"TwoLearningRates",
       {{"hyperparameters", {{"learning_rate_multiplier", 2}}},
        {"graft", {{"hyperparameters", {{"learning_rate", 0.1}}}}}},
       "hyperparameters.learning_rate_multiplier"},
      {"Dpo", {{"method", {{"type", "dpo"}}}}, "method"},
      {"MethodOfAnotherType", {{"method", "supervised"}}, "method"},
      {"MethodWithTypeOfAnotherType", {{"method", {{"type", 5}}}}, "method"},
      {"MethodWithTypeOfNone", {{"method", {{"type", nullptr}}}}, "method"},
      {"MethodWithMore", {{"method", {{"type", "supervised"}, {"dpo", 1}}}}, "method"},
      {"SupervisedWithMore",
       {{"method", {{"type", "supervised"}, {"supervised", {{"beta", 1}}}}}},
       "method.supervised"},
      {"Integrations", {{"integrations", {{{"type", "wandb"}}}}}, "integrations"},
      {"MetadataOfAnotherType", {{"metadata", 1}}, "metadata"},
      {"MetadataOfNumbers", {{"metadata", {{"a", 1}}}}, "metadata"},
      {"MetadataBesideLabelsOfAnotherType",
       {{"metadata", {{"a", "b"}}}, {"graft", {{"labels", 5}}}},
       "graft.labels"},
      {"GraftOfAnotherType", {{"graft", 1}}, "graft"},
      {"GraftsDatasetOfAnotherType", {{"graft", {{"dataset", 1}}}}, "graft.dataset"},
      {"GraftsBase", {{"graft", {{"base", "x"}}}}, "graft.base"},
      {"GraftsUnknownField", {{"graft", {{"bas", "x"}}}}, "graft"},
      {"GraftsRequestIdOfAnotherType", {{"graft", {{"request_id", 1}}}}, "graft.request_id"},
      {"UnknownField", {{"epochs", 3}}, "epochs"},
  };
}

class FinetuningRequestFaultTest : public ::testing::TestWithParam<Row> {};

TEST_P(FinetuningRequestFaultTest, NamesTheField) {
  const Status status = ReadFinetuningRequest(Body(GetParam().more)).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  ASSERT_THAT(status.details(), ::testing::SizeIs(1));
  EXPECT_EQ(status.details()[0].field, GetParam().field) << status;
}

INSTANTIATE_TEST_SUITE_P(Rows, FinetuningRequestFaultTest, ::testing::ValuesIn(Rows()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(FinetuningNamesTest, FaultsOfASpecAreToldByTheRequestsNames) {
  const std::pair<const char*, const char*> rows[] = {
      {"spec.adapter", "suffix"},
      {"spec.base", "model"},
      {"spec.init_from", "model"},
      {"spec.dataset.train", "training_file"},
      {"spec.dataset.validation", "validation_file"},
      {"spec.hyperparameters.epochs", "hyperparameters.n_epochs"},
      {"spec.hyperparameters.batch_size", "hyperparameters.batch_size"},
      {"spec.hyperparameters.seed", "seed"},
      {"spec.labels", "metadata"},
      {"spec.method.lora.rank", "graft.method.lora.rank"},
      {"request_id", "graft.request_id"},
      {"name", "fine_tuning_job_id"},
      {"page_size", "page_size"}};
  for (const auto& [field, wanted] : rows) {
    const Status status = ByFinetuningNames(InvalidArgumentError("wrong").At(field));
    EXPECT_EQ(status.details().at(0).field, wanted);
  }
}

}  // namespace
}  // namespace graft::server::rest
