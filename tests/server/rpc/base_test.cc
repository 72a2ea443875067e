// Bases as calls see them: each is read when it is asked for, once for all who ask.

#include <thread>

#include "call_fixture.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class BaseTest : public ServerFixture {
 protected:
  void Configure() override {
    read_base_ = [this](const std::filesystem::path& cache, intake::Base& base) {
      {
        const std::lock_guard lock(mutex_);
        read_.push_back(base.id);
      }
      if (base.id == "slow") {
        begun_.Set();
        if (!go_on_.Wait()) return InternalError("nobody went on");
      }
      return intake::ReadBase(cache, base);
    };
  }
  grpc::Status GetBase(const std::string& id) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::GetBaseRequest request;
    request.set_name("bases/" + id);
    v1::BaseModel base;
    return base_models_->GetBase(&context, request, &base);
  }
  std::vector<std::string> Read() {
    const std::lock_guard lock(mutex_);
    return read_;
  }

  std::mutex mutex_;
  std::vector<std::string> read_;
  Flag begun_, go_on_;
};

TEST_F(BaseTest, ABaseWhoseNameHasCapitalsIsFound) {
  MakeTinyBase(folder_->path() / "bases", "Tiny-2.5B");

  const grpc::Status found = GetBase("Tiny-2.5B");

  EXPECT_TRUE(found.ok()) << found.error_message();
}

TEST_F(BaseTest, OnlyTheBaseThatIsAskedForIsRead) {
  MakeTinyBase(folder_->path() / "bases", "other");
  EXPECT_THAT(Read(), IsEmpty());

  EXPECT_TRUE(GetBase("tiny").ok());

  EXPECT_THAT(Read(), ElementsAre("tiny"));
  const grpc::Status missing = GetBase("nonesuch");
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(FieldOf(missing), "name");
  EXPECT_THAT(missing.error_message(), testing::HasSubstr("other, tiny"));
}

TEST_F(BaseTest, ABaseIsReadOnceForAllWhoAskWhileObjectsAndOtherBasesGoOn) {
  MakeTinyBase(folder_->path() / "bases", "slow", 2);
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  std::vector<grpc::Status> answers(4);
  std::vector<std::thread> callers;
  for (grpc::Status& answer : answers) callers.emplace_back([&] { answer = GetBase("slow"); });
  ASSERT_TRUE(begun_.Wait());

  EXPECT_TRUE(worker.Put("tenants/default/attempts/j/1/checkpoints/5", "x").ok());
  v1::Job job;
  EXPECT_TRUE(Create(Spec(), &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);
  go_on_.Set();
  for (std::thread& caller : callers) caller.join();

  for (const grpc::Status& answer : answers) EXPECT_TRUE(answer.ok()) << answer.error_message();
  EXPECT_THAT(Read(), UnorderedElementsAre("slow", "tiny"));
}

TEST_F(BaseTest, WhoIsCancelledStopsWaitingAndTheReadGoesOn) {
  MakeTinyBase(folder_->path() / "bases", "slow", 2);
  std::thread patient([this] { EXPECT_TRUE(GetBase("slow").ok()); });
  ASSERT_TRUE(begun_.Wait());
  {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
    v1::EmbedRequest request;
    request.set_base("slow");
    request.add_inputs()->set_text("good");
    v1::EmbedResponse response;
    EXPECT_EQ(inference_->Embed(&context, request, &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }

  go_on_.Set();
  patient.join();

  EXPECT_THAT(Read(), ElementsAre("slow"));
}

}  // namespace
}  // namespace graft::server::rpc
