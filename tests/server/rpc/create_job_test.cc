#include "common/objects/keys.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using testing::HasSubstr;

class CreateJobTest : public ServerFixture {};

TEST_F(CreateJobTest, ValidJobIsQueuedWithItsFacts) {
  v1::Job job;

  ASSERT_TRUE(Create(Spec(), &job).ok());

  EXPECT_TRUE(job.name().starts_with("jobs/"));
  EXPECT_EQ(job.state(), v1::VALIDATING);
  const v1::Job queued = WaitFor(job.name(), v1::QUEUED);
  EXPECT_EQ(queued.facts().train_examples(), 4);
  EXPECT_EQ(queued.facts().labels(), 2);
  EXPECT_GT(queued.facts().train_tokens(), 12);
  EXPECT_GT(queued.facts().trainable_parameters(), 0);
  EXPECT_EQ(queued.facts().total_steps(), 3) << "one batch an epoch, three epochs";
  EXPECT_EQ(queued.dataset_sha256().size(), 64U);
  EXPECT_TRUE(objects_.Stat(objects::DatasetKey("default", queued.dataset_sha256())).ok());
  EXPECT_EQ(queued.spec().hyperparameters().batch_size(), 16)
      << "a stored job shows what was resolved";
}

TEST_F(CreateJobTest, FaultsOfTheSpecNameTheirField) {
  struct Case {
    const char* what;
    std::function<void(v1::JobSpec&)> change;
    grpc::StatusCode code;
    const char* field;
  };
  const std::vector<Case> cases = {
      {"unknown base", [](auto& s) { s.set_base("nonesuch"); }, grpc::StatusCode::NOT_FOUND,
       "spec.base"},
      {"base that climbs", [](auto& s) { s.set_base("../tiny"); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.base"},
      {"no adapter", [](auto& s) { s.clear_adapter(); }, grpc::StatusCode::INVALID_ARGUMENT,
       "spec.adapter"},
      {"a base's name", [](auto& s) { s.set_adapter("tiny"); }, grpc::StatusCode::INVALID_ARGUMENT,
       "spec.adapter"},
      {"no method", [](auto& s) { s.clear_method(); }, grpc::StatusCode::INVALID_ARGUMENT,
       "spec.method"},
      {"rank 0", [](auto& s) { s.mutable_method()->mutable_lora()->set_rank(0); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.method.lora.rank"},
      {"absurd lr", [](auto& s) { s.mutable_hyperparameters()->set_learning_rate(1e9); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.hyperparameters.learning_rate"},
      {"NaN lr", [](auto& s) { s.mutable_hyperparameters()->set_learning_rate(std::nan("")); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.hyperparameters.learning_rate"},
      {"too many checkpoints",
       [](auto& s) { s.mutable_hyperparameters()->set_keep_checkpoints(101); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.hyperparameters.keep_checkpoints"},
      {"fewer checkpoints than none",
       [](auto& s) { s.mutable_hyperparameters()->set_keep_checkpoints(-1); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.hyperparameters.keep_checkpoints"},
      {"too long", [](auto& s) { s.mutable_hyperparameters()->set_max_length(65); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.hyperparameters.max_length"},
      {"no data", [](auto& s) { s.mutable_dataset()->clear_train(); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.dataset.train"},
      {"bare path", [](auto& s) { s.mutable_dataset()->set_train("/etc/passwd"); },
       grpc::StatusCode::INVALID_ARGUMENT, "spec.dataset.train"},
      {"no such upload",
       [](auto& s) {
         s.mutable_dataset()->set_validation("graft://datasets/" + std::string(64, 'a'));
       },
       grpc::StatusCode::NOT_FOUND, "spec.dataset.validation"},
      {"no such version", [](auto& s) { s.set_init_from("nonesuch@3"); },
       grpc::StatusCode::NOT_FOUND, "spec.init_from"},
  };
  for (const Case& c : cases) {
    v1::JobSpec spec = Spec();
    c.change(spec);
    v1::Job job;

    const grpc::Status status = Create(spec, &job);

    EXPECT_EQ(status.error_code(), c.code) << c.what << ": " << status.error_message();
    EXPECT_EQ(FieldOf(status), c.field) << c.what << ": " << status.error_message();
  }
}

TEST_F(CreateJobTest, OnlyAVersionWithTheSameTensorsAndLabelsIsContinued) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  MakeVersion(worker, 'a');
  const auto answer = [&](const std::function<void(v1::JobSpec&)>& change) {
    v1::JobSpec spec = Spec();
    spec.set_init_from("support@1");
    change(spec);
    v1::Job job;
    return Create(spec, &job);
  };
  const auto method = [](v1::JobSpec& spec) { return spec.mutable_method(); };
  const auto labels = [](v1::JobSpec& spec) {
    return spec.mutable_task()->mutable_sequence_classification();
  };
  const grpc::Status other_method =
      answer([&](auto& s) { method(s)->mutable_bottleneck()->set_size(2); });
  const grpc::Status other_rank = answer([&](auto& s) { method(s)->mutable_lora()->set_rank(4); });
  const grpc::Status other_labels = answer([&](auto& s) {
    for (const char* label : {"good", "bad"}) labels(s)->add_label_names(label);
  });
  const grpc::Status other_alpha =
      answer([&](auto& s) { method(s)->mutable_lora()->set_alpha(9); });
  const grpc::Status other_dropout =
      answer([&](auto& s) { method(s)->mutable_lora()->set_dropout(0.5); });

  for (const grpc::Status& status : {other_method, other_rank, other_labels, other_alpha}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(FieldOf(status), "spec.init_from");
  }
  EXPECT_THAT(other_method.error_message(), HasSubstr("lora"));
  EXPECT_THAT(other_alpha.error_message(), HasSubstr("its alpha is 4.0, the job's is 9.0"));
  EXPECT_TRUE(other_dropout.ok()) << other_dropout.error_message();
}

TEST_F(CreateJobTest, UnknownBaseNamesThoseThereAre) {
  v1::JobSpec spec = Spec();
  spec.set_base("nonesuch");
  v1::Job job;

  EXPECT_THAT(Create(spec, &job).error_message(), HasSubstr("tiny"));
}

TEST_F(CreateJobTest, FaultsOfTheDataEndTheJobFailedWithTheirLines) {
  v1::JobSpec spec = Spec();
  spec.mutable_dataset()->set_train(
      WriteData("holes.csv", "text,label\ngood film,good\nbad film,\nx,bad\n"));
  v1::Job job;
  ASSERT_TRUE(Create(spec, &job).ok());

  const v1::Job failed = WaitFor(job.name(), v1::FAILED);

  EXPECT_THAT(probe_.Take(),
              testing::ElementsAre(testing::Pair(core::JobState::kFailed, "BAD_DATA")));
  EXPECT_EQ(failed.error().code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_GE(failed.error().details_size(), 1);
  EXPECT_EQ(failed.error().details(0).line(), 3);
  EXPECT_EQ(failed.error().details(0).column(), "label");
}

TEST_F(CreateJobTest, ValidateOnlyReportsAndStoresNothing) {
  grpc::ClientContext context;
  v1::CreateJobRequest request;
  *request.mutable_spec() = Spec();
  request.set_validate_only(true);
  v1::Job job;

  ASSERT_TRUE(jobs_->CreateJob(&context, request, &job).ok());

  EXPECT_EQ(job.name(), "");
  EXPECT_EQ(job.facts().train_examples(), 4);
  v1::ListJobsResponse list;
  grpc::ClientContext list_context;
  ASSERT_TRUE(jobs_->ListJobs(&list_context, {}, &list).ok());
  EXPECT_EQ(list.total_size(), 0);
  EXPECT_FALSE(objects_.Stat(objects::DatasetKey("default", job.dataset_sha256())).ok());

  request.mutable_spec()->mutable_dataset()->set_label_column("nonesuch");
  grpc::ClientContext bad_context;
  const grpc::Status status = jobs_->CreateJob(&bad_context, request, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "spec.dataset.train") << status.error_message();
}

TEST_F(CreateJobTest, RequestIdReturnsTheFirstJob) {
  v1::Job first;
  v1::Job second;
  ASSERT_TRUE(Create(Spec(), &first, "request-1").ok());

  ASSERT_TRUE(Create(Spec(), &second, "request-1").ok());
  EXPECT_EQ(second.name(), first.name());

  v1::JobSpec other = Spec();
  other.set_priority(5);
  EXPECT_EQ(Create(other, &second, "request-1").error_code(), grpc::StatusCode::ALREADY_EXISTS);
  ASSERT_TRUE(Create(other, &second, "request-2").ok());
  EXPECT_NE(second.name(), first.name());
}

TEST_F(CreateJobTest, RequestIdOutlivesTheFileItsJobCameFrom) {
  v1::JobSpec spec = Spec();
  spec.mutable_dataset()->set_train(WriteData("gone.csv", "text,label\ngood,good\nbad,bad\n"));
  v1::Job first;
  ASSERT_TRUE(Create(spec, &first, "request-1").ok());
  (void)WaitFor(first.name(), v1::QUEUED);
  std::filesystem::remove(folder_->path() / "data/gone.csv");
  v1::Job second;

  const grpc::Status status = Create(spec, &second, "request-1");

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(second.name(), first.name());
}

TEST_F(CreateJobTest, EstimateSaysWhatItWouldTake) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  grpc::ClientContext context;
  v1::EstimateJobRequest request;
  *request.mutable_spec() = Spec();
  v1::EstimateJobResponse response;

  ASSERT_TRUE(jobs_->EstimateJob(&context, request, &response).ok());

  EXPECT_EQ(response.facts().total_steps(), 3);
  EXPECT_GT(response.facts().seconds(), 0);
  EXPECT_GT(response.facts().peak_memory_bytes(), 0);
  EXPECT_GT(response.facts().artifact_bytes(), 0);
}

TEST_F(CreateJobTest, ListPagesNewestFirst) {
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) {
    v1::JobSpec spec = Spec();
    (*spec.mutable_labels())["parity"] = i % 2 == 0 ? "even" : "odd";
    v1::Job job;
    ASSERT_TRUE(Create(spec, &job).ok());
    names.insert(names.begin(), job.name());
  }
  const auto list = [&](int page_size, const std::string& filter) {
    std::vector<std::string> listed;
    v1::ListJobsRequest request;
    request.set_page_size(page_size);
    request.set_filter(filter);
    do {
      grpc::ClientContext context;
      v1::ListJobsResponse response;
      const grpc::Status status = jobs_->ListJobs(&context, request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const auto& job : response.jobs()) listed.push_back(job.name());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return listed;
  };

  EXPECT_EQ(list(2, ""), names);
  EXPECT_EQ(list(5, ""), names);
  EXPECT_EQ(list(1, "label.parity=odd"), (std::vector{names[1], names[3]}));
  EXPECT_EQ(list(0, "adapter=other"), std::vector<std::string>());

  v1::ListJobsRequest bad;
  bad.set_page_size(1001);
  grpc::ClientContext context;
  v1::ListJobsResponse response;
  EXPECT_EQ(jobs_->ListJobs(&context, bad, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace graft::server::rpc
