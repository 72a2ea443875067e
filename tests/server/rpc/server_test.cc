
#include <fstream>

#include "server/core/jobs.h"
#include "server/service/convert.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

class ServerTest : public ServerFixture {};

TEST_F(ServerTest, SecondServerOnOnePortDoesNotStart) {
  RpcServer::Options options;
  options.listen = "127.0.0.1:" + std::to_string(server_->port());

  auto second = RpcServer::Start(options, *host_, *services_);

  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), testing::HasSubstr(options.listen));
}

TEST_F(ServerTest, ReflectionKnowsTheHealthService) {
  // Where the reflection service looks.
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();

  EXPECT_NE(pool->FindServiceByName("grpc.health.v1.Health"), nullptr);
}

TEST_F(ServerTest, UnixSocketIsForItsUserOnly) {
  const auto permissions = std::filesystem::status(folder_->path() / "server.sock").permissions();

  EXPECT_EQ(permissions & (std::filesystem::perms::group_all | std::filesystem::perms::others_all),
            std::filesystem::perms::none);
}

TEST_F(ServerTest, BasesAreListedWithWhatTheyAre) {
  std::filesystem::create_directories(folder_->path() / "bases/broken");
  std::ofstream(folder_->path() / "bases/broken/config.json") << "{}";
  grpc::ClientContext context;
  v1::ListBasesResponse response;

  ASSERT_TRUE(base_models_->ListBases(&context, {}, &response).ok());

  ASSERT_EQ(response.bases_size(), 2);
  EXPECT_EQ(response.bases(0).name(), "bases/broken");
  EXPECT_NE(response.bases(0).error(), "");
  EXPECT_EQ(response.bases(1).name(), "bases/tiny");
  EXPECT_EQ(response.bases(1).family(), "bert");
  EXPECT_EQ(response.bases(1).fingerprint().size(), 64U);
  EXPECT_EQ(response.bases(1).num_layers(), 2);
  EXPECT_EQ(response.bases(1).error(), "");
}

TEST_F(ServerTest, NewBaseAppearsWithoutARestartAndAChangedOneIsReadAgain) {
  const auto fingerprint = [this](const std::string& id) {
    grpc::ClientContext context;
    v1::GetBaseRequest request;
    request.set_name("bases/" + id);
    v1::BaseModel base;
    (void)base_models_->GetBase(&context, request, &base);
    return base.fingerprint();
  };
  EXPECT_EQ(fingerprint("late"), "");

  MakeTinyBase(folder_->path() / "bases", "late", 2);
  const std::string first = fingerprint("late");
  EXPECT_EQ(first.size(), 64U);
  EXPECT_NE(first, fingerprint("tiny"));

  MakeTinyBase(folder_->path() / "bases", "late", 3);
  EXPECT_NE(fingerprint("late"), first);
}

TEST_F(ServerTest, ResidencyShowsWhereABaseIs) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  worker.Hold({"tiny"});
  grpc::ClientContext context;
  v1::GetBaseRequest request;
  request.set_name("bases/tiny");
  v1::BaseModel base;

  ASSERT_TRUE(base_models_->GetBase(&context, request, &base).ok());

  ASSERT_EQ(base.resident_on_size(), 1);
  EXPECT_EQ(base.resident_on(0), "w1");
}

TEST_F(ServerTest, ValidatingJobsAreTakenUpAfterARestart) {
  // A job that was accepted just before the server died: durable, and nothing else.
  core::NewJob job;
  job.tenant = "default";
  auto spec = service::FromProto(Spec());
  ASSERT_TRUE(spec.ok());
  auto base = catalog_->Find("tiny");
  ASSERT_TRUE(base.ok());
  auto resolved = spec::Resolve(*spec, (*base)->layout);
  ASSERT_TRUE(resolved.ok());
  job.spec_json = resolved->ToJson().dump();
  job.base = "tiny";
  job.adapter = "support";
  validator_->Stop();
  core::JobKey key;
  ASSERT_TRUE(store_
                  .WriteNow([&](core::Transaction& tx) -> Status {
                    GRAFT_ASSIGN_OR_RETURN(const core::Job created, core::CreateJob(tx, job));
                    key = created.key;
                    // The dead server held the claim, under the name that this one has too.
                    return core::ClaimValidation(tx, key, "test-server", 3'600'000'000).status();
                  })
                  .ok());

  validator_->Start();

  EXPECT_EQ(WaitFor("jobs/" + key.id, v1::QUEUED).facts().train_examples(), 4);
}

}  // namespace
}  // namespace graft::server::rpc
