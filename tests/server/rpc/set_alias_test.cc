#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

class SetAliasTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    worker_.emplace(socket_, "w1", std::vector<std::string>{"tiny"});
    worker_->Register();
    worker_->Hold({"tiny"});
    (void)MakeVersion(*worker_, 'a');
    (void)MakeVersion(*worker_, 'b');
  }
  void TearDown() override {
    ServerFixture::TearDown();
    worker_.reset();
  }
  grpc::Status SetAlias(const std::string& version, v1::Adapter* adapter,
                        const std::string& etag = {}, const std::string& alias = {}) {
    grpc::ClientContext context;
    v1::SetAliasRequest request;
    request.set_adapter("adapters/support");
    request.set_version(version);
    request.set_alias(alias);
    request.set_etag(etag);
    return adapters_->SetAlias(&context, request, adapter);
  }
  v1::Adapter GetAdapter() {
    grpc::ClientContext context;
    v1::GetAdapterRequest request;
    request.set_name("adapters/support");
    v1::Adapter adapter;
    EXPECT_TRUE(adapters_->GetAdapter(&context, request, &adapter).ok());
    return adapter;
  }
  /// Deletes the adapter and makes others of the same numbers.
  void MakeAnew() {
    grpc::ClientContext context;
    v1::DeleteAdapterRequest request;
    request.set_name("adapters/support");
    v1::DeleteAdapterResponse response;
    ASSERT_TRUE(adapters_->DeleteAdapter(&context, request, &response).ok());
    (void)MakeVersion(*worker_, 'c');
    (void)MakeVersion(*worker_, 'd');
  }
  /// The version that a plain name means, by the worker that was asked for it.
  std::string Served(grpc::StatusCode* code) {
    grpc::ClientContext context;
    v1::ClassifyRequest request;
    request.set_adapter("support");
    request.add_inputs()->set_text("good");
    v1::ClassifyResponse response;
    *code = inference_->Classify(&context, request, &response).error_code();
    return response.provenance().adapter_version();
  }

  std::optional<FakeWorker> worker_;
};

TEST_F(SetAliasTest, VersionIsProvedBeforeTheAliasMoves) {
  int64_t live_while_proving = -1;
  bool prove = false;
  worker_->on_load = [&](const pb::LoadVersionRequest& request) {
    live_while_proving =
        GetAdapter().aliases().contains("live") ? GetAdapter().aliases().at("live") : 0;
    prove = request.prove();
    EXPECT_EQ(request.version().sha256(), std::string(64, 'b'));
    return grpc::Status::OK;
  };
  v1::Adapter adapter;

  ASSERT_TRUE(SetAlias("2", &adapter).ok());

  EXPECT_TRUE(prove);
  EXPECT_EQ(live_while_proving, 0);
  EXPECT_EQ(adapter.aliases().at("live"), 2);
  grpc::StatusCode code;
  EXPECT_EQ(Served(&code), "adapters/support/versions/2");
}

TEST_F(SetAliasTest, VersionThatCannotBeProvedDoesNotGoLive) {
  v1::Adapter adapter;
  ASSERT_TRUE(SetAlias("1", &adapter).ok());
  for (const grpc::StatusCode fault :
       {grpc::StatusCode::FAILED_PRECONDITION, grpc::StatusCode::INVALID_ARGUMENT,
        grpc::StatusCode::DATA_LOSS, grpc::StatusCode::NOT_FOUND}) {
    worker_->on_load = [&](const auto&) { return grpc::Status(fault, "a tensor is missing"); };

    const grpc::Status status = SetAlias("2", &adapter);

    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), testing::HasSubstr("a tensor is missing"));
    EXPECT_EQ(GetAdapter().aliases().at("live"), 1);
  }
}

TEST_F(SetAliasTest, EveryHolderOfTheBaseMustProveIt) {
  FakeWorker second(socket_, "w2", {"tiny"});
  second.Register();
  second.Hold({"tiny"});
  v1::Adapter adapter;

  ASSERT_TRUE(SetAlias("1", &adapter).ok());
  EXPECT_EQ(worker_->loaded, 1);
  EXPECT_EQ(second.loaded, 1);

  second.on_load = [](const auto&) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "another base");
  };
  EXPECT_EQ(SetAlias("2", &adapter).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(GetAdapter().aliases().at("live"), 1);

  second.StopEngine();
  EXPECT_TRUE(SetAlias("2", &adapter).ok()) << "a worker that is gone proves nothing";
  Stop();
}

TEST_F(SetAliasTest, WithoutAHolderOneThatCanLoadTheBaseProvesIt) {
  worker_->Hold({});
  v1::Adapter adapter;

  EXPECT_TRUE(SetAlias("1", &adapter).ok());
  EXPECT_EQ(worker_->loaded, 1);
}

TEST_F(SetAliasTest, WithoutAnyWorkerItIsUnavailable) {
  OnIo([this] { workers_->Remove("w1"); });
  v1::Adapter adapter;

  EXPECT_EQ(SetAlias("1", &adapter).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(GetAdapter().aliases().empty());
}

TEST_F(SetAliasTest, StaleEtagIsAborted) {
  v1::Adapter adapter;
  const std::string etag = GetAdapter().etag();
  ASSERT_TRUE(SetAlias("1", &adapter, etag).ok());

  EXPECT_EQ(SetAlias("2", &adapter, etag).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_TRUE(SetAlias("2", &adapter, GetAdapter().etag()).ok());
}

TEST_F(SetAliasTest, VersionThatWasMadeAnewWhileItWasProvedDoesNotGoLive) {
  worker_->on_load = [this](const auto&) {
    MakeAnew();
    return grpc::Status::OK;
  };
  v1::Adapter adapter;

  EXPECT_EQ(SetAlias("2", &adapter).error_code(), grpc::StatusCode::ABORTED);

  EXPECT_TRUE(GetAdapter().aliases().empty());
}

TEST_F(SetAliasTest, RollbackToAVersionThatWasMadeAnewMeanwhileIsAborted) {
  v1::Adapter adapter;
  for (const char* version : {"1", "2"}) ASSERT_TRUE(SetAlias(version, &adapter).ok());
  const std::string etag = adapter.etag();
  std::atomic<bool> first = true;
  worker_->on_load = [&](const auto&) {
    if (!first.exchange(false)) return grpc::Status::OK;
    MakeAnew();
    // As many changes as before, so that the etag is the same.
    for (const char* version : {"1", "2"}) EXPECT_TRUE(SetAlias(version, &adapter).ok());
    EXPECT_EQ(adapter.etag(), etag);
    return grpc::Status::OK;
  };
  grpc::ClientContext context;
  v1::RollbackRequest request;
  request.set_adapter("adapters/support");
  v1::Adapter rolled_back;

  EXPECT_EQ(adapters_->Rollback(&context, request, &rolled_back).error_code(),
            grpc::StatusCode::ABORTED);

  EXPECT_EQ(GetAdapter().aliases().at("live"), 2);
}

TEST_F(SetAliasTest, VersionsGoByEveryName) {
  v1::Adapter adapter;
  ASSERT_TRUE(SetAlias("sha256:" + std::string(64, 'a'), &adapter).ok());
  EXPECT_EQ(adapter.aliases().at("live"), 1);
  ASSERT_TRUE(SetAlias("latest", &adapter, "", "canary").ok());
  EXPECT_EQ(adapter.aliases().at("canary"), 2);
  ASSERT_TRUE(SetAlias("canary", &adapter).ok());
  EXPECT_EQ(adapter.aliases().at("live"), 2);
  EXPECT_EQ(SetAlias("7", &adapter).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(SetAlias("", &adapter).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(SetAlias("1", &adapter, "", "Bad Alias").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(SetAliasTest, RollbackProvesAndReturnsToTheLastTarget) {
  v1::RollbackRequest request;
  request.set_adapter("adapters/support");
  v1::Adapter adapter;
  const auto rollback = [&] {
    grpc::ClientContext context;
    return adapters_->Rollback(&context, request, &adapter).error_code();
  };
  EXPECT_EQ(rollback(), grpc::StatusCode::NOT_FOUND) << "there is no such alias yet";
  ASSERT_TRUE(SetAlias("1", &adapter).ok());
  EXPECT_EQ(rollback(), grpc::StatusCode::FAILED_PRECONDITION) << "it never pointed elsewhere";
  ASSERT_TRUE(SetAlias("2", &adapter).ok());
  const int loaded = worker_->loaded;

  EXPECT_EQ(rollback(), grpc::StatusCode::OK);

  EXPECT_EQ(adapter.aliases().at("live"), 1);
  EXPECT_EQ(worker_->loaded, loaded + 1);
}

TEST_F(SetAliasTest, RollbackThatIsRepeatedWithItsEtagGoesBackOnce) {
  v1::Adapter adapter;
  for (const char* version : {"1", "2", "1", "2"}) ASSERT_TRUE(SetAlias(version, &adapter).ok());
  v1::RollbackRequest request;
  request.set_adapter("adapters/support");
  request.set_etag(adapter.etag());
  const auto rollback = [&] {
    grpc::ClientContext context;
    return adapters_->Rollback(&context, request, &adapter).error_code();
  };

  EXPECT_EQ(rollback(), grpc::StatusCode::OK);
  EXPECT_EQ(rollback(), grpc::StatusCode::ABORTED);

  EXPECT_EQ(adapter.aliases().at("live"), 1);
}

TEST_F(SetAliasTest, AliasedVersionIsNotDeleted) {
  v1::Adapter adapter;
  ASSERT_TRUE(SetAlias("1", &adapter).ok());
  v1::DeleteVersionRequest request;
  v1::DeleteVersionResponse response;
  const auto remove = [&](const std::string& name) {
    grpc::ClientContext context;
    request.set_name(name);
    return adapters_->DeleteVersion(&context, request, &response).error_code();
  };

  EXPECT_EQ(remove("adapters/support/versions/1"), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(remove("adapters/support/versions/2"), grpc::StatusCode::OK);
  EXPECT_EQ(remove("adapters/support/versions/2"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(remove("adapters/support"), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace graft::server::rpc
