#include "server/stores/row_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/base/json.h"

namespace graft::server::stores {
namespace {

using core::Job;
using core::JobEvent;

TEST(RowJsonTest, AnEmptyRowWritesNothingAndReadsBack) {
  const StatusOr<core::Version> version = VersionFromJson("{}");
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(ToJson(*version), "{}");
  const StatusOr<Job> job = JobFromJson("{}");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state, core::JobState::kValidating);
  EXPECT_EQ(job->desired_state, core::JobState::kRunning);
  EXPECT_FALSE(job->error.has_value());
}

TEST(RowJsonTest, NumbersThatJsonLacksAreKept) {
  JobEvent event;
  event.kind = core::EventKind::kProgress;
  event.progress.loss = std::numeric_limits<double>::quiet_NaN();
  event.progress.grad_norm = std::numeric_limits<double>::infinity();
  event.progress.eta_seconds = -std::numeric_limits<double>::infinity();
  event.progress.learning_rate = 0.1 + 0.2;
  event.progress.epoch = std::numeric_limits<double>::denorm_min();

  const StatusOr<JobEvent> read = EventFromJson(ToJson(event));

  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(std::isnan(read->progress.loss));
  EXPECT_EQ(read->progress.grad_norm, event.progress.grad_norm);
  EXPECT_EQ(read->progress.eta_seconds, event.progress.eta_seconds);
  EXPECT_EQ(read->progress.learning_rate, event.progress.learning_rate);
  EXPECT_EQ(read->progress.epoch, event.progress.epoch);
}

TEST(RowJsonTest, LargeAndNegativeIntegersAreKept) {
  core::Adapter adapter;
  adapter.create_time = INT64_MAX;
  adapter.latest_version = INT64_MIN;
  adapter.aliases = {{"live", {3, {1, 2}}}, {"canary", {}}};

  const StatusOr<core::Adapter> read = AdapterFromJson(ToJson(adapter));

  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->create_time, INT64_MAX);
  EXPECT_EQ(read->latest_version, INT64_MIN);
  EXPECT_EQ(read->aliases.at("live").history, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(read->aliases.at("canary").version, 0);
}

TEST(RowJsonTest, ASampleIsKeptAndOtherEventsSayNothingOfOne) {
  JobEvent event;
  event.kind = core::EventKind::kSample;
  event.sample = {1, 2, "p", "t", "stop", 3};
  const std::string json = ToJson(event);

  const StatusOr<JobEvent> read = EventFromJson(json);

  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), json);
  EXPECT_EQ(Json::parse(json)["sample"].size(), 6U);
  EXPECT_EQ(read->kind, core::EventKind::kSample);
  EXPECT_EQ(read->sample.text, "t");
  EXPECT_FALSE(Json::parse(ToJson(JobEvent())).contains("sample"));
}

TEST(RowJsonTest, BytesThatAreNotUtf8AreReplacedNotLost) {
  Job job;
  job.warnings = {"bad \xFF byte", "fine \xC3\xA9"};
  job.error = core::JobError{StatusCode::kInternal, "\xC3", {}, 0};

  const StatusOr<Job> read = JobFromJson(ToJson(job));

  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->warnings.at(0), "bad \xEF\xBF\xBD byte");
  EXPECT_EQ(read->warnings.at(1), "fine \xC3\xA9");
  EXPECT_EQ(read->error->code, StatusCode::kInternal);
}

TEST(RowJsonTest, EveryFieldOfAJobIsKept) {
  // Each leaf of this document is set, so a field that is left out shows.
  Job job;
  job.key = {"t", "i"};
  job.spec_json = "{}";
  job.base = "b";
  job.adapter = "a";
  job.labels = {{"k", "v"}};
  job.priority = -3;
  job.request_id = "r";
  job.request_sha256 = "rs";
  job.request_hash_kind = core::RequestHashKind::kMessage;
  job.state = core::JobState::kFailed;
  job.desired_state = core::JobState::kPaused;
  job.state_reason = "sr";
  job.create_time = 1, job.queue_time = 2, job.start_time = 3, job.end_time = 4;
  job.not_before = 5;
  job.error = core::JobError{StatusCode::kAborted, "m", {{"R", "f", 1, "c", "dm"}}, 2, "JOB"};
  job.base_fingerprint = "bf", job.tokenizer = "t";
  job.attempts = {{2, "w", 3, 4, "er", "em", 5, 6, true}};
  job.lease = {"lw", 7, 8, 9, 10, 11};
  job.checkpoint = {"ck", "cs", 11};
  job.kept = {{12, 13}};
  job.progress = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  job.evaluations = {{1, "s", 2, 3, {{"accuracy", 4}, {"macro_f1", 5}}}};
  job.facts = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  job.dataset_sha256 = "ds", job.init_from_sha256 = "is";
  job.init_from_prefix = "ip";
  job.version_sha256 = "vs", job.version_number = 13;
  job.warnings = {"w"};
  job.resolved_precision = "bf16";
  job.num_events = 14, job.revision = 15;
  const Json json = Json::parse(ToJson(job));

  EXPECT_EQ(json.size(), 36U);
  EXPECT_EQ(json["kept"][0].size(), 2U);
  EXPECT_EQ(json["error"].size(), 5U);
  EXPECT_EQ(json["attempts"][0].size(), 9U);
  EXPECT_EQ(json["lease"].size(), 6U);
  EXPECT_EQ(json["progress"].size(), 9U);
  EXPECT_EQ(json["facts"].size(), 12U);
  EXPECT_EQ(json["evaluations"][0].size(), 6U);
  EXPECT_EQ(json["error"]["details"][0].size(), 5U);
  EXPECT_EQ(ToJson(*JobFromJson(json.dump())), ToJson(job));
}

TEST(RowJsonTest, RowsThatAreStoredReadAndWriteAsTheyStand) {
  // Never change these texts: they lie in people's stores.
  const std::string job =
      R"({"adapter":"support","attempts":[{"first_step":1,"last_step":9,"number":1,"worker":"w"}],)"
      R"("base":"minilm","desired_state":3,"evaluations":[{"accuracy":0.75,"examples":8,)"
      R"("loss":0.5,"macro_f1":0.25,"split":"test","step":9}],"facts":{"labels":2,"total_steps":9},)"
      R"("key":{"id":"j","tenant":"default"},"request_id":"r","request_sha256":"5e884898",)"
      R"("spec_json":"{}","state":5,"version_sha256":"9f86d081"})";
  const std::string version =
      R"({"adapter":"support","base":"minilm","evaluations":[{"examples":8,"loss":0.5,)"
      R"("split":"validation","step":4},{"accuracy":0.75,"examples":8,"loss":"nan",)"
      R"("macro_f1":0.25,"split":"test","step":9}],"kept_step":9,"label_names":["no","yes"],)"
      R"("max_length":64,"method_json":"{\"lora\":{\"rank\":8}}","number":3,)"
      R"("sha256":"9f86d081","tenant":"default"})";

  const StatusOr<Job> read_job = JobFromJson(job);
  const StatusOr<core::Version> read_version = VersionFromJson(version);

  ASSERT_TRUE(read_job.ok()) << read_job.status();
  EXPECT_EQ(read_job->evaluations.at(0).metrics.at("accuracy"), 0.75);
  EXPECT_EQ(read_job->evaluations.at(0).metrics.at("macro_f1"), 0.25);
  EXPECT_EQ(ToJson(*read_job), job);
  ASSERT_TRUE(read_version.ok()) << read_version.status();
  EXPECT_EQ(read_version->evaluations.at(0).metrics.size(), 0U) << "zeros weren't written";
  EXPECT_EQ(read_version->evaluations.at(1).metrics.at("accuracy"), 0.75);
  EXPECT_EQ(ToJson(*read_version), version);
}

TEST(RowJsonTest, AnEvaluationsMetricsAreItsOtherNumbers) {
  core::Version version;
  version.evaluations = {{1, "test", 2, 3, {{"perplexity", 0}, {"token_accuracy", NAN}}}};

  const StatusOr<core::Version> read = VersionFromJson(ToJson(version));

  ASSERT_TRUE(read.ok()) << read.status();
  const auto& metrics = read->evaluations.at(0).metrics;
  EXPECT_EQ(metrics.size(), 2U);
  EXPECT_EQ(metrics.at("perplexity"), 0);
  EXPECT_TRUE(std::isnan(metrics.at("token_accuracy")));
  // What a later version may add is no metric.
  const auto later = VersionFromJson(
      R"({"evaluations":[{"accuracy":0.5,"samples":["a"],"kind":"x","more":{"a":1},"yes":true}]})");
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_EQ(later->evaluations.at(0).metrics, (std::map<std::string, double>{{"accuracy", 0.5}}));
}

TEST(RowJsonTest, DamagedDocumentsAreDataLoss) {
  for (const char* text : {"", "{", "[]", "null", "7", R"({"key":5})", R"({"state":"QUEUED"})",
                           R"({"labels":[1]})", R"({"attempts":[{"number":"x"}]})",
                           R"({"evaluations":[{"loss":true}]})", R"({"warnings":[5]})"}) {
    EXPECT_EQ(JobFromJson(text).status().code(), StatusCode::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace graft::server::stores
