#pragma once
/// A worker that does what a test says, over the real protocol: it registers, takes and ends
/// leases, and answers as an Engine. Uses:
///   FakeWorker worker(socket, "w1", {"tiny"});  worker.Register();
///   auto lease = worker.AcquireOne();           worker.Succeed(lease, "…sha…");
///   worker.on_load = [](const auto&) { return grpc::Status(...); };

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/channel.h>
#include <grpcpp/server.h>

#include "common/tracing/trace_context.h"
#include "graft/internal/v1/coordinator.grpc.pb.h"
#include "graft/internal/v1/engine.grpc.pb.h"

namespace graft::server::rpc {

namespace pb = graft::internal::v1;

/// A part of a worker's text.
inline pb::EngineGenerateResponse TextPart(const std::string& text,
                                           const std::string& finish = {}) {
  pb::EngineGenerateResponse response;
  response.mutable_part()->set_text(text);
  response.mutable_part()->add_tokens()->set_id(7);
  response.mutable_part()->set_finish_reason(finish);
  response.set_base_fingerprint("fingerprint");
  return response;
}

class FakeWorker : public pb::Engine::Service {
 public:
  /// `server`: where the coordinator listens. `bases`: those that lie in the worker's folder.
  FakeWorker(const std::string& server, std::string worker_id, std::vector<std::string> bases);
  ~FakeWorker() override;

  void StopEngine();

  void Register();
  /// Says that it holds these bases.
  void Hold(const std::vector<std::string>& bases);
  /// Says that these lie in its folder now.
  void HaveInFolder(const std::vector<std::string>& bases);
  grpc::Status Renew(pb::RenewLeasesRequest request, pb::RenewLeasesResponse* response);
  grpc::Status Acquire(int64_t wait_ms, pb::AcquireLeasesResponse* response, int slots = 1);
  pb::Lease AcquireOne(int64_t wait_ms = 20'000);
  grpc::Status Put(const std::string& key, const std::string& bytes,
                   const std::string& sha256 = {});
  grpc::Status Get(const std::string& key, std::string* bytes);
  pb::CompleteLeaseRequest Completion(const pb::Lease& lease,
                                      pb::CompleteLeaseRequest::Outcome outcome);
  /// Below `trace`, if that is valid.
  grpc::Status Complete(const pb::CompleteLeaseRequest& request,
                        const tracing::SpanContext& trace = {});
  /// A checkpoint of this step, with a version of this hash.
  pb::KeepCheckpointRequest Checkpoint(const pb::Lease& lease, int64_t step,
                                       const std::string& version_sha256);
  /// Stores its artifact and has it kept.
  grpc::Status Keep(const pb::KeepCheckpointRequest& request,
                    const tracing::SpanContext& trace = {});
  /// Stores an artifact and ends the lease with a version of this hash, within the lease's trace.
  grpc::Status Succeed(const pb::Lease& lease, const std::string& version_sha256);

  grpc::Status Classify(grpc::ServerContext*, const pb::EngineClassifyRequest* request,
                        pb::EngineClassifyResponse* response) override;
  grpc::Status Embed(grpc::ServerContext*, const pb::EngineEmbedRequest* request,
                     pb::EngineEmbedResponse* response) override;
  grpc::Status Generate(grpc::ServerContext* context, const pb::EngineGenerateRequest* request,
                        grpc::ServerWriter<pb::EngineGenerateResponse>* writer) override;
  grpc::Status Score(grpc::ServerContext*, const pb::EngineScoreRequest* request,
                     pb::EngineScoreResponse* response) override;
  grpc::Status LoadVersion(grpc::ServerContext*, const pb::LoadVersionRequest* request,
                           pb::LoadVersionResponse*) override;

  const std::string id;
  std::function<grpc::Status(const pb::EngineClassifyRequest&)> on_classify;
  /// Without it a text is the worker's id.
  std::function<grpc::Status(grpc::ServerContext&, const pb::EngineGenerateRequest&,
                             grpc::ServerWriter<pb::EngineGenerateResponse>&)>
      on_generate;
  std::function<grpc::Status(const pb::LoadVersionRequest&)> on_load;
  std::atomic<int> classified{0};
  std::atomic<int> generated{0};
  std::atomic<int> loaded{0};
  int64_t lease_ms = 0;
  int64_t memory_bytes = int64_t{64} << 30;  ///< Told by Register.
  bool fast_bf16 = false;

 private:
  std::vector<std::string> bases_;
  std::shared_ptr<grpc::Channel> channel_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> engine_;

 public:
  std::unique_ptr<pb::Coordinator::Stub> coordinator;
};

}  // namespace graft::server::rpc
