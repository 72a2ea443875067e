#include "worker/agent/server_link.h"

#include <gtest/gtest.h>

#include <grpcpp/server_builder.h>

#include <future>

#include "common/base/file.h"

namespace graft::worker::agent {
namespace {

using namespace std::chrono_literals;
namespace pb = graft::internal::v1;

/// A coordinator that lets in whoever brings the token.
class Guarded : public pb::Coordinator::Service {
 public:
  explicit Guarded(const std::string& address = "127.0.0.1:0") {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  static grpc::Status Check(const grpc::ServerContext* context) {
    const auto found = context->client_metadata().find("authorization");
    const bool known =
        found != context->client_metadata().end() && found->second == "Bearer open sesame";
    return known ? grpc::Status::OK : grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "no");
  }
  grpc::Status Register(grpc::ServerContext* context, const pb::RegisterRequest*,
                        pb::RegisterResponse*) override {
    return Check(context);
  }
  grpc::Status GetObject(grpc::ServerContext* context, const pb::GetObjectRequest*,
                         grpc::ServerWriter<pb::ObjectChunk>* writer) override {
    pb::ObjectChunk chunk;
    chunk.set_data("bytes");
    writer->Write(chunk);
    return Check(context);
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST(ServerLinkTest, EveryCallBringsTheToken) {
  Guarded server;
  ServerLink link(server.address(), "open sesame");

  const auto registered = link.Call(&pb::Coordinator::Stub::Register, pb::RegisterRequest(), 10s);
  const StatusOr<std::string> bytes = link.GetObject("key");

  EXPECT_TRUE(registered.ok()) << registered.status();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(*bytes, "bytes");
}

TEST(ServerLinkTest, WithoutATokenTheServersRefusalComesBack) {
  Guarded server;
  ServerLink link(server.address());

  const auto registered = link.Call(&pb::Coordinator::Stub::Register, pb::RegisterRequest(), 10s);

  EXPECT_EQ(registered.status().code(), StatusCode::kPermissionDenied);
}

TEST(ServerLinkTest, CallWaitsForAServerThatIsAway) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string address = "unix:" + (folder->path() / "socket").string();
  ServerLink link(address, "open sesame");
  const auto away = link.Call(&pb::Coordinator::Stub::Register, pb::RegisterRequest(), 100ms);
  auto call = std::async(std::launch::async, [&] {
    return link.Call(&pb::Coordinator::Stub::Register, pb::RegisterRequest(), 30s);
  });
  const Guarded late(address);

  const auto registered = call.get();

  EXPECT_EQ(away.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(registered.ok()) << registered.status();
}

}  // namespace
}  // namespace graft::worker::agent
