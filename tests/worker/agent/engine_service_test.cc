/// What the server asks of a worker's engine, over a real channel.

#include "worker/agent/engine_service.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <future>
#include <optional>

#include "tests/support/recording_sink.h"
#include "tests/worker/agent/agent_case.h"

namespace graft::worker::agent {
namespace {

bool IsSlow(const std::string& key) { return key.starts_with("slow/"); }

class EngineServiceTest : public RunningAgentCase {
 protected:
  void Serve() {
    service_.emplace(
        *engine_, objects_, EngineService::OnSwap(), [] {}, tracing::Tracer(sink_, {}));
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&*service_);
    grpc_server_ = builder.BuildAndStart();
    stub_ = pb::Engine::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                    grpc::InsecureChannelCredentials()));
  }
  /// Trains a version, which isn't in memory then; returns what the server was told of it.
  pb::CompleteLeaseRequest ServeATrainedVersion() {
    StartAgent();
    server_.Grant(MakeLease("job"));
    EXPECT_TRUE(server_.WaitUntilCompleted("job"));
    const pb::CompleteLeaseRequest made = server_.job("job").completion.value();
    engine_->Unload(made.version_sha256());
    Serve();
    return made;
  }
  ~EngineServiceTest() override {
    if (grpc_server_ != nullptr) grpc_server_->Shutdown(std::chrono::system_clock::now());
  }
  grpc::Status Load(const std::string& base, const std::string& prefix, const std::string& sha256,
                    const std::string& traceparent = {}) {
    grpc::ClientContext context;
    if (!traceparent.empty()) context.AddMetadata("traceparent", traceparent);
    context.set_deadline(std::chrono::system_clock::now() + kLongEnough);
    pb::LoadVersionRequest request;
    request.mutable_version()->set_base(base);
    request.mutable_version()->set_artifact_prefix(prefix);
    request.mutable_version()->set_sha256(sha256);
    pb::LoadVersionResponse response;
    return stub_->LoadVersion(&context, request, &response);
  }

  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::optional<EngineService> service_;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<pb::Engine::Stub> stub_;
};

TEST_F(EngineServiceTest, AVersionOnABaseInMemoryDoesNotWaitForThoseWhoseBasesMustBeRead) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  server_.on_get = [released](const std::string& key) {
    if (!IsSlow(key)) return OkStatus();
    released.wait();
    return NotFoundError("gone");
  };
  const pb::CompleteLeaseRequest made = ServeATrainedVersion();

  std::vector<std::future<grpc::Status>> slow;
  for (const char* prefix : {"slow/1/", "slow/2/", "slow/3/"}) {
    slow.push_back(std::async(std::launch::async, [this, prefix] {
      return Load("not-in-memory", prefix, std::string(64, 'a'));
    }));
  }
  const bool are_under_way = server_.WaitUntil(
      [](const Seen& seen) { return std::ranges::count_if(seen.gets, &IsSlow) == 2; });
  const grpc::Status loaded = Load("base-bert", made.artifact_prefix(), made.version_sha256());
  release.set_value();

  EXPECT_TRUE(are_under_way);
  EXPECT_TRUE(loaded.ok()) << loaded.error_message();
  for (auto& status : slow) EXPECT_EQ(status.get().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(EngineServiceTest, ACallInATraceIsASpanWithWhatItHadToLoad) {
  server_.on_get = [](const std::string& key) {
    if (key.starts_with("away/")) return UnavailableError("the store is away");
    return key.starts_with("gone/") ? NotFoundError("gone") : OkStatus();
  };
  const pb::CompleteLeaseRequest made = ServeATrainedVersion();
  const tracing::SpanContext caller = {std::string(32, 'a'), std::string(16, 'b'), true, ""};
  const auto load = [&](const std::string& prefix, const std::string& sha256) {
    return Load("base-bert", prefix, sha256, tracing::Traceparent(caller));
  };

  ASSERT_TRUE(load(made.artifact_prefix(), made.version_sha256()).ok());
  auto call = sink_->Find("Engine.LoadVersion"), part = sink_->Find("load version");
  ASSERT_TRUE(call.has_value() && part.has_value());
  EXPECT_EQ(call->parent_id, caller.span_id);
  EXPECT_EQ(call->kind, tracing::SpanKind::kServer);
  EXPECT_EQ(part->parent_id, call->context.span_id);
  EXPECT_FALSE(call->has_failed || part->has_failed);

  EXPECT_FALSE(load("gone/", std::string(64, 'c')).ok());
  EXPECT_FALSE(sink_->Find("Engine.LoadVersion")->has_failed)
      << "it was asked for what isn't there";
  EXPECT_TRUE(sink_->Find("load version")->has_failed);

  EXPECT_FALSE(load("away/", std::string(64, 'd')).ok());
  EXPECT_TRUE(sink_->Find("Engine.LoadVersion")->has_failed);

  const size_t before = sink_->spans().size();
  ASSERT_TRUE(Load("base-bert", made.artifact_prefix(), made.version_sha256()).ok());
  EXPECT_EQ(sink_->spans().size(), before) << "a call in no trace is no span";
}

}  // namespace
}  // namespace graft::worker::agent
