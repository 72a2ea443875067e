#include "fake_worker.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "common/base/sha256.h"
#include "common/objects/keys.h"
#include "proto/grpc_trace.h"

namespace graft::server::rpc {

FakeWorker::FakeWorker(const std::string& server, std::string worker_id,
                       std::vector<std::string> bases)
    : id(std::move(worker_id)),
      bases_(std::move(bases)),
      channel_(grpc::CreateChannel(server, grpc::InsecureChannelCredentials())),
      coordinator(pb::Coordinator::NewStub(channel_)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  engine_ = builder.BuildAndStart();
}

FakeWorker::~FakeWorker() { StopEngine(); }

void FakeWorker::StopEngine() {
  if (engine_ != nullptr) engine_->Shutdown(std::chrono::system_clock::now());
}

void FakeWorker::Register() {
  pb::RegisterRequest request;
  request.set_worker_id(id);
  request.set_engine_address("127.0.0.1:" + std::to_string(port_));
  request.set_device("cpu");
  request.set_memory_bytes(memory_bytes);
  request.set_fp32_gflops(100);
  request.set_bf16_gflops(100);
  request.set_fast_bf16(fast_bf16);
  for (const std::string& base : bases_) request.add_bases(base);
  pb::RegisterResponse response;
  grpc::ClientContext context;
  const grpc::Status status = coordinator->Register(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  lease_ms = response.lease_ms();
}

void FakeWorker::Hold(const std::vector<std::string>& bases) {
  pb::RenewLeasesRequest request;
  for (const std::string& base : bases) request.add_resident()->set_id(base);
  pb::RenewLeasesResponse response;
  ASSERT_TRUE(Renew(request, &response).ok());
}

void FakeWorker::HaveInFolder(const std::vector<std::string>& bases) {
  bases_ = bases;
  pb::RenewLeasesRequest request;
  *request.mutable_bases()->mutable_ids() = {bases.begin(), bases.end()};
  pb::RenewLeasesResponse response;
  ASSERT_TRUE(Renew(request, &response).ok());
}

grpc::Status FakeWorker::Renew(pb::RenewLeasesRequest request, pb::RenewLeasesResponse* response) {
  request.set_worker_id(id);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  return coordinator->RenewLeases(&context, request, response);
}

grpc::Status FakeWorker::Acquire(int64_t wait_ms, pb::AcquireLeasesResponse* response, int slots) {
  pb::AcquireLeasesRequest request;
  request.set_worker_id(id);
  request.set_free_slots(slots);
  request.set_wait_ms(wait_ms);
  for (const std::string& base : bases_) request.add_bases(base);
  grpc::ClientContext context;
  return coordinator->AcquireLeases(&context, request, response);
}

pb::Lease FakeWorker::AcquireOne(int64_t wait_ms) {
  pb::AcquireLeasesResponse response;
  const grpc::Status status = Acquire(wait_ms, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.leases_size(), 1);
  return response.leases_size() == 1 ? response.leases(0) : pb::Lease();
}

grpc::Status FakeWorker::Put(const std::string& key, const std::string& bytes,
                             const std::string& sha256) {
  grpc::ClientContext context;
  pb::PutObjectResponse response;
  auto writer = coordinator->PutObject(&context, &response);
  pb::PutObjectRequest request;
  request.set_key(key);
  request.set_sha256(sha256.empty() ? Sha256Hex(bytes) : sha256);
  request.set_chunk(bytes);
  writer->Write(request);
  writer->WritesDone();
  return writer->Finish();
}

grpc::Status FakeWorker::Get(const std::string& key, std::string* bytes) {
  grpc::ClientContext context;
  pb::GetObjectRequest request;
  request.set_key(key);
  auto reader = coordinator->GetObject(&context, request);
  bytes->clear();
  for (pb::ObjectChunk chunk; reader->Read(&chunk);) *bytes += chunk.data();
  return reader->Finish();
}

pb::CompleteLeaseRequest FakeWorker::Completion(const pb::Lease& lease,
                                                pb::CompleteLeaseRequest::Outcome outcome) {
  pb::CompleteLeaseRequest request;
  request.set_worker_id(id);
  request.mutable_lease()->set_tenant(lease.tenant());
  request.mutable_lease()->set_job_id(lease.job_id());
  request.mutable_lease()->set_token(lease.token());
  request.set_outcome(outcome);
  return request;
}

grpc::Status FakeWorker::Complete(const pb::CompleteLeaseRequest& request,
                                  const tracing::SpanContext& trace) {
  grpc::ClientContext context;
  proto::AddTrace(trace, context);
  pb::CompleteLeaseResponse response;
  return coordinator->CompleteLease(&context, request, &response);
}

pb::KeepCheckpointRequest FakeWorker::Checkpoint(const pb::Lease& lease, int64_t step,
                                                 const std::string& version_sha256) {
  pb::KeepCheckpointRequest request;
  request.set_worker_id(id);
  request.set_tenant(lease.tenant());
  request.set_job_id(lease.job_id());
  request.set_token(lease.token());
  request.set_step(step);
  request.set_version_sha256(version_sha256);
  request.set_artifact_prefix(
      objects::KeptPrefix(lease.tenant(), lease.job_id(), lease.token(), step));
  request.set_artifact_bytes(4);
  request.set_base_fingerprint(lease.base_fingerprint());
  request.add_label_names("bad");
  request.add_label_names("good");
  request.set_max_length(64);
  return request;
}

grpc::Status FakeWorker::Keep(const pb::KeepCheckpointRequest& request,
                              const tracing::SpanContext& trace) {
  EXPECT_TRUE(Put(request.artifact_prefix() + "adapter_config.json", "{}").ok());
  EXPECT_TRUE(Put(request.artifact_prefix() + "graft.json", "{}").ok());
  grpc::ClientContext context;
  proto::AddTrace(trace, context);
  pb::KeepCheckpointResponse response;
  return coordinator->KeepCheckpoint(&context, request, &response);
}

grpc::Status FakeWorker::Succeed(const pb::Lease& lease, const std::string& version_sha256) {
  const std::string prefix = objects::ArtifactPrefix(lease.tenant(), lease.job_id(), lease.token());
  EXPECT_TRUE(Put(prefix + "adapter_config.json", "{}").ok());
  EXPECT_TRUE(Put(prefix + "graft.json", "{}").ok());
  auto request = Completion(lease, pb::CompleteLeaseRequest::SUCCEEDED);
  request.set_version_sha256(version_sha256);
  request.set_artifact_prefix(prefix);
  request.set_artifact_bytes(4);
  request.set_base_fingerprint(lease.base_fingerprint());
  request.add_label_names("bad");
  request.add_label_names("good");
  request.set_max_length(64);
  return Complete(request, tracing::ParseTraceparent(lease.traceparent(), lease.tracestate()));
}

grpc::Status FakeWorker::Classify(grpc::ServerContext*, const pb::EngineClassifyRequest* request,
                                  pb::EngineClassifyResponse* response) {
  ++classified;
  if (on_classify) {
    if (grpc::Status status = on_classify(*request); !status.ok()) return status;
  }
  for (int i = 0; i < request->inputs_size(); ++i) response->add_predictions()->set_label(id);
  response->set_base_fingerprint("fingerprint");
  return grpc::Status::OK;
}

grpc::Status FakeWorker::Embed(grpc::ServerContext*, const pb::EngineEmbedRequest* request,
                               pb::EngineEmbedResponse* response) {
  for (int i = 0; i < request->inputs_size(); ++i) response->add_embeddings()->add_values(1);
  response->set_base_fingerprint("fingerprint");
  return grpc::Status::OK;
}

grpc::Status FakeWorker::Generate(grpc::ServerContext* context,
                                  const pb::EngineGenerateRequest* request,
                                  grpc::ServerWriter<pb::EngineGenerateResponse>* writer) {
  ++generated;
  if (on_generate) return on_generate(*context, *request, *writer);
  writer->Write(TextPart(id, "stop"));
  return grpc::Status::OK;
}

grpc::Status FakeWorker::Score(grpc::ServerContext*, const pb::EngineScoreRequest* request,
                               pb::EngineScoreResponse* response) {
  for (const auto& input : request->inputs()) {
    auto* token = response->add_scores()->add_tokens();
    token->set_text(input.prompt() + "|" + input.text());
  }
  response->set_base_fingerprint("fingerprint");
  return grpc::Status::OK;
}

grpc::Status FakeWorker::LoadVersion(grpc::ServerContext*, const pb::LoadVersionRequest* request,
                                     pb::LoadVersionResponse*) {
  ++loaded;
  return on_load ? on_load(*request) : grpc::Status::OK;
}

}  // namespace graft::server::rpc
