/// The table of calls and the services' methods say the same.

#include "server/service/call_table.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "graft/internal/v1/coordinator.pb.h"
#include "graft/v1/adapter.pb.h"
#include "graft/v1/base_model.pb.h"
#include "graft/v1/dataset.pb.h"
#include "graft/v1/finetuning.pb.h"
#include "graft/v1/inference.pb.h"
#include "graft/v1/worker.pb.h"

namespace graft::server::service {
namespace {

std::vector<std::string> MethodsOf(const google::protobuf::FileDescriptor& file) {
  std::vector<std::string> methods;
  for (int i = 0; i < file.service_count(); ++i) {
    const google::protobuf::ServiceDescriptor& service = *file.service(i);
    for (int j = 0; j < service.method_count(); ++j)
      methods.push_back(service.name() + "." + service.method(j)->name());
  }
  return methods;
}

TEST(CallTableTest, HasEveryMethodOnce) {
  std::vector<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::Job::descriptor()->file(), v1::CreateJobRequest::descriptor()->file(),
        v1::SetAliasRequest::descriptor()->file(), v1::ClassifyRequest::descriptor()->file(),
        v1::GetBaseRequest::descriptor()->file(), v1::CheckDatasetRequest::descriptor()->file(),
        v1::ListWorkersRequest::descriptor()->file(),
        graft::internal::v1::RegisterRequest::descriptor()->file()}) {
    for (std::string& method : MethodsOf(*file)) methods.push_back(std::move(method));
  }
  std::vector<std::string> table;
  for (const calls::CallOptions& options : internal::kCalls) {
    if (!options.rpc.starts_with("Http.")) table.emplace_back(options.rpc);
  }

  EXPECT_THAT(table, ::testing::UnorderedElementsAreArray(methods));
}

TEST(CallTableTest, WorkersMethodsAreTheCoordinators) {
  for (const calls::CallOptions& options : internal::kCalls) {
    EXPECT_EQ(options.role == calls::Role::kWorker, options.rpc.starts_with("Coordinator."))
        << options.rpc;
  }
}

TEST(CallTableTest, InferenceCountsAndWhatHasNoEndOfItsOwnEndsOnADrain) {
  for (const calls::CallOptions& options : internal::kCalls) {
    EXPECT_EQ(options.cost == calls::Cost::kInference, options.rpc.starts_with("InferenceService."))
        << options.rpc;
    const bool waits =
        options.rpc == "FinetuningService.WatchJob" || options.rpc == "Coordinator.AcquireLeases";
    EXPECT_EQ(options.on_drain == calls::OnDrain::kEnd, waits) << options.rpc;
  }
}

}  // namespace
}  // namespace graft::server::service
