#pragma once
/// What tests of the agent stand on: a real engine over a tiny base, a FakeCoordinator on a socket
/// in a folder of the test's own, and leases on small jobs whose data it stores.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/spec/job_spec.h"
#include "tests/worker/agent/fake_coordinator.h"
#include "worker/agent/agent.h"
#include "worker/agent/objects.h"
#include "worker/agent/server_link.h"
#include "worker/engine/engine.h"

namespace graft::worker::agent {

class AgentCase : public ::testing::Test {
 protected:
  using Hyper = spec::Hyperparameters;
  using Seen = FakeCoordinator::Seen;

  static constexpr int kSteps = 6;  ///< Of a job whose hyperparameters weren't changed.
  static constexpr const char* kTenant = "tenant";

  AgentCase();

  /// Gives the engine no more memory than that. Before it is used.
  void LimitMemory(int64_t bytes);
  /// A lease on a job with LoRA for one epoch, an evaluation behind each step and no checkpoint on
  /// the way; `change` may alter any hyperparameter. Tokens rise with each call.
  pb::Lease MakeLease(const std::string& job, const std::function<void(Hyper&)>& change = {});
  /// A job that trains until somebody stops it.
  pb::Lease EndlessLease(const std::string& job, const std::function<void(Hyper&)>& change = {});
  /// A job on so many examples that they take seconds to read.
  pb::Lease LargeLease(const std::string& job);
  /// The version of `prefix`, as the store has it, loaded under this name and proved.
  Status LoadStored(const std::string& prefix, const std::string& version_sha256);

  TempFolder folder_;
  std::unique_ptr<engine::Engine> engine_;
  FakeCoordinator server_;
  std::shared_ptr<ServerLink> link_;
  std::shared_ptr<Objects> objects_;

 private:
  void StoreData(int train, pb::Lease& lease);
  int64_t token_ = 0;
};

/// The same with the agent itself, once the test starts it.
class RunningAgentCase : public AgentCase {
 protected:
  void StartAgent(int max_jobs = 1);

  std::unique_ptr<Agent> agent_;
};

/// The steps whose evaluation on the validation split the events tell, in their order.
template <typename Events>
std::vector<int64_t> EvaluatedSteps(const Events& events) {
  std::vector<int64_t> steps;
  for (const v1::JobEvent& event : events)
    if (event.evaluation().split() == "validation") steps.push_back(event.evaluation().step());
  return steps;
}

template <typename Events>
std::vector<std::string> Warnings(const Events& events) {
  std::vector<std::string> warnings;
  for (const v1::JobEvent& event : events)
    if (!event.warning().empty()) warnings.push_back(event.warning());
  return warnings;
}

/// first, first + 1, ... last.
std::vector<int64_t> Range(int64_t first, int64_t last);

}  // namespace graft::worker::agent
