#include "call_fixture.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

namespace graft::server::rpc {

CallFixture::CallFixture() = default;
CallFixture::~CallFixture() = default;

grpc::ServerUnaryReactor* CallFixture::UnaryService::GetBase(grpc::CallbackServerContext* c,
                                                             const graft::v1::GetBaseRequest* q,
                                                             graft::v1::BaseModel* r) {
  return Unary<graft::v1::GetBaseRequest, graft::v1::BaseModel>(fixture.host_, fixture.options_, c,
                                                                q, r, fixture.unary_);
}

grpc::ServerWriteReactor<graft::v1::JobEvent>* CallFixture::StreamService::WatchJob(
    grpc::CallbackServerContext* c, const graft::v1::WatchJobRequest* q) {
  return ServerStream<graft::v1::WatchJobRequest, graft::v1::JobEvent>(
      fixture.host_, fixture.options_, c, q, fixture.stream_);
}

grpc::ServerReadReactor<graft::v1::UploadDatasetRequest>* CallFixture::UploadService::UploadDataset(
    grpc::CallbackServerContext* c, graft::v1::Dataset* r) {
  return ClientStream<graft::v1::UploadDatasetRequest, graft::v1::Dataset>(
      fixture.host_, fixture.options_, c, r, fixture.upload_);
}

void CallFixture::SetUp() {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&unary_service_);
  builder.RegisterService(&stream_service_);
  builder.RegisterService(&upload_service_);
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
  channel_ =
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
  bases_ = graft::v1::BaseModelService::NewStub(channel_);
  jobs_ = graft::v1::FinetuningService::NewStub(channel_);
  datasets_ = graft::v1::DatasetService::NewStub(channel_);
}

void CallFixture::TearDown() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  runtime_.Stop();
}

grpc::Status CallFixture::GetBase(graft::v1::BaseModel* reply, const std::string& name) {
  grpc::ClientContext context;
  graft::v1::GetBaseRequest request;
  request.set_name(name);
  graft::v1::BaseModel ignored;
  return bases_->GetBase(&context, request, reply == nullptr ? &ignored : reply);
}

void CallFixture::OnIo(std::function<void()> work) {
  Flag done;
  boost::asio::post(runtime_.io(), [&] {
    work();
    done.Set();
  });
  ASSERT_TRUE(done.Wait());
}

calls::Awaitable<void> CallFixture::Forever() {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                  std::chrono::hours(24));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

}  // namespace graft::server::rpc
