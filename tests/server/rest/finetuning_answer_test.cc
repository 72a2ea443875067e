#include "server/rest/finetuning_answer.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::rest {
namespace {

using graft::v1::Job;
using graft::v1::JobEvent;

Job OfState(graft::v1::JobState state) {
  Job job;
  job.set_name("jobs/j1");
  job.set_state(state);
  job.mutable_create_time()->set_seconds(100);
  job.mutable_spec()->set_base("smollm2");
  job.mutable_spec()->set_adapter("support");
  job.mutable_spec()->mutable_dataset()->set_train("graft://datasets/abc/train.jsonl");
  job.mutable_spec()->mutable_method()->mutable_lora();
  return job;
}

JobEvent Event() {
  JobEvent event;
  event.set_number(3);
  event.mutable_time()->set_seconds(50);
  return event;
}

TEST(ModelNameTest, AVersionIsTheAdapterAtItsNumber) {
  EXPECT_EQ(ModelName("adapters/support/versions/3"), "support@3");
  EXPECT_EQ(ModelName("smollm2"), "smollm2");
  EXPECT_EQ(ModelName("adapters/support"), "adapters/support");
}

TEST(FinetuningJobTest, StatesAreOpenAis) {
  const std::pair<graft::v1::JobState, const char*> rows[] = {
      {graft::v1::VALIDATING, "validating_files"},
      {graft::v1::QUEUED, "queued"},
      {graft::v1::RUNNING, "running"},
      {graft::v1::PAUSED, "paused"},
      {graft::v1::SUCCEEDED, "succeeded"},
      {graft::v1::FAILED, "failed"},
      {graft::v1::CANCELLED, "cancelled"}};
  for (const auto& [state, name] : rows) EXPECT_EQ(ToFinetuningJob(OfState(state))["status"], name);
}

TEST(FinetuningJobTest, AJobThatRunsHasNoEnd) {
  const Json job = ToFinetuningJob(OfState(graft::v1::RUNNING));

  EXPECT_EQ(job["id"], "j1");
  EXPECT_EQ(job["object"], "fine_tuning.job");
  EXPECT_EQ(job["created_at"], 100);
  EXPECT_EQ(job["model"], "smollm2");
  EXPECT_EQ(job["user_provided_suffix"], "support");
  EXPECT_EQ(job["training_file"], "file-abc");
  for (const char* name : {"finished_at", "error", "fine_tuned_model", "trained_tokens",
                           "validation_file", "estimated_finish"})
    EXPECT_EQ(job[name], nullptr) << name;
}

TEST(FinetuningJobTest, AJobThatSucceededHasAModel) {
  Job job = OfState(graft::v1::SUCCEEDED);
  job.set_adapter_version("adapters/support/versions/2");
  job.mutable_end_time()->set_seconds(200);
  job.mutable_progress()->set_tokens(5000);

  const Json told = ToFinetuningJob(job);

  EXPECT_EQ(told["fine_tuned_model"], "support@2");
  EXPECT_EQ(told["finished_at"], 200);
  EXPECT_EQ(told["trained_tokens"], 5000);
}

TEST(FinetuningJobTest, AJobThatFailedSaysWhereAndWhy) {
  Job job = OfState(graft::v1::FAILED);
  job.mutable_error()->set_message("line 7 is no JSON");
  auto& detail = *job.mutable_error()->add_details();
  detail.set_line(7);
  detail.set_reason("BAD_LINE");

  EXPECT_EQ(ToFinetuningJob(job)["error"],
            Json({{"code", "BAD_LINE"}, {"message", "line 7 is no JSON"}, {"param", "line 7"}}));
}

TEST(FinetuningJobTest, HyperparametersAreAutoUnlessSaid) {
  Job job = OfState(graft::v1::QUEUED);
  EXPECT_EQ(ToFinetuningJob(job)["hyperparameters"]["n_epochs"], "auto");
  EXPECT_EQ(ToFinetuningJob(job)["hyperparameters"]["batch_size"], "auto");

  job.mutable_spec()->mutable_hyperparameters()->set_epochs(2.5);
  job.mutable_spec()->mutable_hyperparameters()->set_batch_size(8);
  const Json told = ToFinetuningJob(job);

  EXPECT_EQ(told["hyperparameters"]["n_epochs"], 2.5);
  EXPECT_EQ(told["hyperparameters"]["batch_size"], 8);
  EXPECT_EQ(told["method"]["supervised"]["hyperparameters"], told["hyperparameters"]);
}

TEST(FinetuningJobTest, WholeEpochsAreWholeNumbers) {
  Job job = OfState(graft::v1::QUEUED);
  job.mutable_spec()->mutable_hyperparameters()->set_epochs(3);

  EXPECT_EQ(ToFinetuningJob(job)["hyperparameters"]["n_epochs"].dump(), "3");
}

TEST(FinetuningJobTest, AJobThatGoesOnWithAVersionNamesIt) {
  Job job = OfState(graft::v1::QUEUED);
  job.mutable_spec()->set_init_from("support@1");

  EXPECT_EQ(ToFinetuningJob(job)["model"], "support@1");
}

TEST(FinetuningJobTest, GraftsOwnFormStandsBeside) {
  EXPECT_EQ(ToFinetuningJob(OfState(graft::v1::QUEUED))["graft"]["name"], "jobs/j1");
}

TEST(FinetuningEventTest, ProgressIsMetrics) {
  JobEvent event = Event();
  event.mutable_progress()->set_step(5);
  event.mutable_progress()->set_total_steps(10);
  event.mutable_progress()->set_loss(0.5);

  const Json told = ToFinetuningEvent("j1", event);

  EXPECT_EQ(told["object"], "fine_tuning.job.event");
  EXPECT_EQ(told["id"], "ftevent-j1-3");
  EXPECT_EQ(told["created_at"], 50);
  EXPECT_EQ(told["level"], "info");
  EXPECT_EQ(told["type"], "metrics");
  EXPECT_EQ(told["message"], "Step 5/10: training loss=0.5000");
  EXPECT_EQ(told["data"]["train_loss"], 0.5);
}

TEST(FinetuningEventTest, AnEvaluationNamesItsSplit) {
  JobEvent event = Event();
  event.mutable_evaluation()->set_split("test");
  event.mutable_evaluation()->set_loss(0.5);
  EXPECT_EQ(ToFinetuningEvent("j1", event)["data"]["test_loss"], 0.5);

  event.mutable_evaluation()->set_split("validation");

  EXPECT_EQ(ToFinetuningEvent("j1", event)["data"]["valid_loss"], 0.5);
}

TEST(FinetuningEventTest, AFailureIsAnError) {
  JobEvent event = Event();
  event.mutable_state_change()->set_to(graft::v1::FAILED);
  event.mutable_state_change()->set_reason("BAD_DATA");
  event.mutable_state_change()->mutable_error()->set_message("line 7");

  const Json told = ToFinetuningEvent("j1", event);

  EXPECT_EQ(told["level"], "error");
  EXPECT_EQ(told["message"], "The job is failed (BAD_DATA): line 7");
}

TEST(FinetuningEventTest, OtherEventsAreMessages) {
  JobEvent warning = Event();
  warning.set_warning("slow");
  JobEvent version = Event();
  version.mutable_version_created()->set_adapter_version("adapters/a/versions/2");
  JobEvent checkpoint = Event();
  checkpoint.mutable_checkpoint()->set_step(9);
  JobEvent sample = Event();
  sample.mutable_sample()->set_text("so it goes");

  EXPECT_EQ(ToFinetuningEvent("j1", warning)["level"], "warn");
  EXPECT_EQ(ToFinetuningEvent("j1", version)["message"], "New fine-tuned model created: a@2");
  EXPECT_EQ(ToFinetuningEvent("j1", checkpoint)["message"], "Checkpoint stored at step 9");
  EXPECT_EQ(ToFinetuningEvent("j1", sample)["data"]["text"], "so it goes");
  EXPECT_EQ(ToFinetuningEvent("j1", Event())["type"], "message") << "of a later server's kind";
}

}  // namespace
}  // namespace graft::server::rest
