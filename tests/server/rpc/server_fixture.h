#pragma once
/// A whole graft-server in the test's process, over memory stores and a tiny base, on a free port
/// and a Unix socket.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/objects/memory_object_store.h"
#include "fake_worker.h"
#include "graft/v1/adapter.grpc.pb.h"
#include "graft/v1/base_model.grpc.pb.h"
#include "graft/v1/dataset.grpc.pb.h"
#include "graft/v1/finetuning.grpc.pb.h"
#include "graft/v1/inference.grpc.pb.h"
#include "server/background/backend.h"
#include "server/background/housekeeping.h"
#include "server/background/validator.h"
#include "server/calls/chain.h"
#include "server/rpc/rpc_server.h"
#include "server/stores/memory_store.h"
#include "tiny_base.h"

namespace graft::server::rpc {

namespace v1 = graft::v1;

/// Remembers what jobs went through, and how calls ended. Thread safe.
class TransitionProbe : public calls::Probe {
 public:
  void CallFinished(calls::Protocol, std::string_view rpc, StatusCode code, double) override {
    const std::lock_guard lock(mutex_);
    ended_.emplace_back(rpc, code);
  }
  void JobTransition(core::JobState to, std::string_view reason) override {
    const std::lock_guard lock(mutex_);
    seen_.emplace_back(to, reason);
  }
  std::vector<std::pair<core::JobState, std::string>> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(seen_, {});
  }
  std::vector<std::pair<std::string, StatusCode>> TakeEnded() {
    const std::lock_guard lock(mutex_);
    return std::exchange(ended_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<core::JobState, std::string>> seen_;
  std::vector<std::pair<std::string, StatusCode>> ended_;
};

class ServerFixture : public testing::Test {
 protected:
  ServerFixture();
  ~ServerFixture() override;
  void SetUp() override;
  void TearDown() override { Stop(); }

  /// What a test may change before the server starts.
  virtual void Configure() {}

  void Start();
  /// Runs on the io thread and waits for it.
  void OnIo(const std::function<void()>& work);
  void Drain();
  void Stop();

  std::string WriteData(const std::string& name, const std::string& text);
  v1::JobSpec Spec();
  grpc::Status Create(const v1::JobSpec& spec, v1::Job* job, const std::string& request_id = {});
  v1::Job Get(const std::string& name);
  /// Follows the job's events until one leads to `state`; returns the job then.
  v1::Job WaitFor(const std::string& name, v1::JobState state);
  /// Runs a job to its end on `worker`; its version's hash is `digit` 64 times.
  v1::Job MakeVersion(FakeWorker& worker, char digit, bool promote = false);

  std::optional<TempFolder> folder_;
  calls::Runtime runtime_;
  TransitionProbe probe_;
  calls::ChainOptions chain_;
  std::optional<calls::CallHost> host_;
  background::JobChanges changes_{runtime_};
  stores::MemoryStore store_;
  objects::MemoryObjectStore objects_;
  background::Limits limits_;
  tracing::Tracer tracer_;
  background::WorkerHub::Options hub_options_;
  background::Housekeeping::Options housekeeping_options_;
  std::optional<std::vector<std::filesystem::path>> roots_;
  std::string worker_token_;
  intake::BaseCatalog::Reader read_base_ = &intake::ReadBase;
  bool expecting_ = false;  ///< Workers, at the start.
  std::optional<intake::BaseCatalog> catalog_;
  std::optional<background::BaseFinder> bases_;
  std::optional<intake::DatasetSources> sources_;
  std::optional<intake::Intake> intake_;
  std::optional<background::WorkerHub> workers_;
  std::optional<background::Backend> backend_;
  std::optional<service::Services> services_;
  std::optional<background::Validator> validator_;
  std::optional<background::Housekeeping> housekeeping_;
  std::unique_ptr<RpcServer> server_;
  std::string socket_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::FinetuningService::Stub> jobs_;
  std::unique_ptr<v1::AdapterService::Stub> adapters_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
  std::unique_ptr<v1::BaseModelService::Stub> base_models_;
  std::unique_ptr<v1::DatasetService::Stub> datasets_;
};

/// The first detail's field path, or the message if there is none.
std::string FieldOf(const grpc::Status& status);

}  // namespace graft::server::rpc
