#pragma once
/// A real server on a free port whose methods are whatever coroutine a test gives them: for the
/// properties that all methods share, whichever service they belong to.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/server.h>
#include <gtest/gtest.h>

#include "graft/v1/base_model.grpc.pb.h"
#include "graft/v1/dataset.grpc.pb.h"
#include "graft/v1/finetuning.grpc.pb.h"
#include "server/calls/chain.h"
#include "server/rpc/reactors.h"
#include "tests/server/support/recording_probe.h"

namespace graft::server::rpc {

/// Something that happens once; threads wait for it.
class Flag {
 public:
  void Set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool Wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

class CallFixture : public testing::Test {
 protected:
  CallFixture();
  ~CallFixture() override;
  using UnaryMethod = calls::UnaryBody<graft::v1::GetBaseRequest, graft::v1::BaseModel>;
  using StreamMethod = calls::ServerStreamBody<graft::v1::WatchJobRequest, graft::v1::JobEvent>;
  using UploadMethod = calls::ClientStreamBody<graft::v1::UploadDatasetRequest, graft::v1::Dataset>;

  struct UnaryService : graft::v1::BaseModelService::CallbackService {
    explicit UnaryService(CallFixture& f) : fixture(f) {}
    grpc::ServerUnaryReactor* GetBase(grpc::CallbackServerContext* c,
                                      const graft::v1::GetBaseRequest* q,
                                      graft::v1::BaseModel* r) override;
    CallFixture& fixture;
  };
  struct StreamService : graft::v1::FinetuningService::CallbackService {
    explicit StreamService(CallFixture& f) : fixture(f) {}
    grpc::ServerWriteReactor<graft::v1::JobEvent>* WatchJob(
        grpc::CallbackServerContext* c, const graft::v1::WatchJobRequest* q) override;
    CallFixture& fixture;
  };
  struct UploadService : graft::v1::DatasetService::CallbackService {
    explicit UploadService(CallFixture& f) : fixture(f) {}
    grpc::ServerReadReactor<graft::v1::UploadDatasetRequest>* UploadDataset(
        grpc::CallbackServerContext* c, graft::v1::Dataset* r) override;
    CallFixture& fixture;
  };

  void SetUp() override;
  void TearDown() override;

  grpc::Status GetBase(graft::v1::BaseModel* reply = nullptr, const std::string& name = "bases/x");
  /// Runs on the io thread and waits for it.
  void OnIo(std::function<void()> work);
  /// Never ends by itself.
  static calls::Awaitable<void> Forever();

  calls::Runtime runtime_;
  RecordingProbe probe_;
  calls::CallHost host_{runtime_, probe_, calls::MakeChain({})};
  calls::CallOptions options_{"Test.Method"};
  UnaryMethod unary_;
  StreamMethod stream_;
  UploadMethod upload_;
  UnaryService unary_service_{*this};
  StreamService stream_service_{*this};
  UploadService upload_service_{*this};
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<graft::v1::BaseModelService::Stub> bases_;
  std::unique_ptr<graft::v1::FinetuningService::Stub> jobs_;
  std::unique_ptr<graft::v1::DatasetService::Stub> datasets_;
};

}  // namespace graft::server::rpc
