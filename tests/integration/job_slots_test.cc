/// A worker with several slots against a real server: the jobs that fit it run at once, in turns on
/// one base, and end as they do alone; one that is too large for it waits in front of them and says
/// why.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/file.h"
#include "tests/integration/live_server.h"
#include "tests/support/must.h"
#include "worker/agent/agent.h"
#include "worker/agent/objects.h"
#include "worker/agent/server_link.h"
#include "worker/engine/engine.h"

namespace graft {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::LiveServer;
using testing::Must;
using ::testing::StartsWith;

constexpr int kSlots = 3;
constexpr int kSteps = 8;
constexpr const char* kToken = "a-token-of-the-test";
/// Enough for the base and kSlots small jobs, too little for the large one.
constexpr int64_t kMemory = int64_t{4} << 20;

/// Which adapter's step came when, by the engine. Its first step waits until all jobs are there.
class Turns {
 public:
  explicit Turns(int64_t jobs) : jobs_(jobs) {}

  worker::engine::Engine::Probe Probe() {
    worker::engine::Engine::Probe probe;
    probe.train_loss = [this](const std::string& adapter, double) {
      if (order_.empty()) AwaitAll();
      order_.push_back(adapter);
    };
    return probe;
  }
  void Watch(const worker::engine::Engine& engine) { engine_ = &engine; }
  /// Requires: the engine has stopped.
  const std::vector<std::string>& order() const { return order_; }

 private:
  /// Jobs come from threads of their own; a small one could end before the next has read its data.
  void AwaitAll() const {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < give_up) {
      const worker::engine::Engine* engine = engine_;
      if (engine != nullptr && engine->figures().training_jobs >= jobs_) return;
      std::this_thread::yield();
    }
  }

  const int64_t jobs_;
  std::atomic<const worker::engine::Engine*> engine_ = nullptr;
  std::vector<std::string> order_;  ///< The engine's thread only.
};

/// An agent over an engine of its own, as graft-worker has them.
class Worker {
 public:
  Worker(const LiveServer& server, const fs::path& bases, int slots, Turns* turns)
      : link_(std::make_shared<worker::agent::ServerLink>(server.address(), kToken)),
        objects_(std::make_shared<worker::agent::Objects>(link_)) {
    worker::engine::EngineOptions options;
    options.bases = bases;
    options.threads = 1;
    options.memory_bytes = kMemory;
    engine_ = Must(worker::engine::Engine::Create(
        options, turns != nullptr ? turns->Probe() : worker::engine::Engine::Probe()));
    if (turns != nullptr) turns->Watch(*engine_);
    worker::agent::AgentOptions agent;
    agent.worker_id = "small";
    agent.engine_address = "127.0.0.1:1";  // Nobody asks it anything.
    agent.build = "test";
    agent.max_jobs = slots;
    agent_ = std::make_unique<worker::agent::Agent>(agent, *engine_, link_, objects_);
    agent_->Start();
  }
  ~Worker() { agent_->Drain(std::chrono::seconds(10)); }

 private:
  std::shared_ptr<worker::agent::ServerLink> link_;
  std::shared_ptr<worker::agent::Objects> objects_;
  std::unique_ptr<worker::engine::Engine> engine_;
  std::unique_ptr<worker::agent::Agent> agent_;
};

class JobSlotsTest : public ::testing::Test {
 protected:
  JobSlotsTest() : folder_(Must(TempFolder::Create())), bases_(folder_.path() / "bases") {
    fs::create_directories(bases_);
    fs::copy(fs::path(GRAFT_SOURCE_DIR) / "tests/golden/data/base-bert", bases_ / "bert");
    WriteData("short", 32, 3);
    WriteData("long", 256, 36);
    server_ = Must(LiveServer::Start(GRAFT_PROGRAMS_DIR, bases_, folder_.path(),
                                     {"--workers=none", std::string("--worker-token=") + kToken,
                                      "--data-roots=" + folder_.path().string()}));
    client_ = server_->Connect(/*max_attempts=*/5);
  }

  void WriteData(const std::string& name, int rows, int words) const {
    std::string text = "text,label\n";
    for (int i = 0; i < rows; ++i) {
      for (int k = 0; k < words; ++k)
        text += "w" + std::to_string((i + k * (i % 3 + 1)) % 92) + " ";
      text += std::string(",") + "abc"[i % 3] + "\n";
    }
    Must(WriteFileDurably(folder_.path() / (name + ".csv"), text));
  }

  v1::JobSpec Spec(const std::string& adapter, const std::string& data, uint64_t seed) const {
    v1::JobSpec spec;
    spec.set_base("bert");
    spec.set_adapter(adapter);
    spec.mutable_method()->mutable_lora()->set_rank(4);
    spec.mutable_dataset()->set_train("file://" + (folder_.path() / (data + ".csv")).string());
    v1::Hyperparameters& h = *spec.mutable_hyperparameters();
    h.set_max_steps(kSteps);
    h.set_batch_size(4);
    h.set_max_length(16);
    h.set_seed(seed);
    h.set_precision(v1::FP32);
    return spec;
  }
  /// Its name.
  std::string Submit(const v1::JobSpec& spec) {
    v1::CreateJobRequest request;
    *request.mutable_spec() = spec;
    return Must(client_->Call(client_->jobs(), &v1::FinetuningService::Stub::CreateJob, request))
        .name();
  }
  v1::Job Get(const std::string& name) {
    v1::GetJobRequest request;
    request.set_name(name);
    return Must(client_->Call(client_->jobs(), &v1::FinetuningService::Stub::GetJob, request));
  }
  v1::Job Ended(const std::string& name) {
    const Status watched = client_->Watch(name, 0, [](const v1::JobEvent&) { return true; });
    EXPECT_TRUE(watched.ok()) << watched << server_->Log();
    return Get(name);
  }
  /// Follows a job until `is_it` holds of an event.
  void Await(const std::string& name, const std::function<bool(const v1::JobEvent&)>& is_it) {
    bool came = false;
    const Status watched = client_->Watch(name, 0, [&](const v1::JobEvent& event) {
      came = came || is_it(event);
      return !came;
    });
    EXPECT_TRUE(watched.ok() && came) << watched << server_->Log();
  }
  void AwaitQueued(const std::string& name) {
    Await(name, [](const v1::JobEvent& e) { return e.state_change().to() == v1::QUEUED; });
  }

  TempFolder folder_;
  fs::path bases_;
  std::unique_ptr<LiveServer> server_;
  std::unique_ptr<client::Client> client_;
};

TEST_F(JobSlotsTest, SmallJobsRunAtOnceAsTheyDoAloneWhileOneThatIsTooLargeWaitsInFront) {
  // No worker is there yet to say that it's too large.
  v1::JobSpec large_spec = Spec("large", "long", 1);
  large_spec.set_priority(1);
  large_spec.mutable_hyperparameters()->set_batch_size(256);
  large_spec.mutable_hyperparameters()->set_max_length(40);
  const std::string large = Submit(large_spec);
  AwaitQueued(large);
  std::vector<std::string> small;
  for (uint64_t i = 0; i < kSlots; ++i) {
    small.push_back(Submit(Spec("small-" + std::to_string(i), "short", i)));
    AwaitQueued(small.back());
  }
  Turns turns(kSlots);
  std::vector<std::string> together;
  {
    Worker worker(*server_, bases_, kSlots, &turns);
    for (const std::string& name : small) {
      const v1::Job job = Ended(name);
      ASSERT_EQ(job.state(), v1::SUCCEEDED) << job.error().message() << server_->Log();
      EXPECT_EQ(job.attempts_size(), 1);
      together.push_back(job.adapter_version_sha256());
    }
    Await(large, [](const v1::JobEvent& event) { return !event.warning().empty(); });
  }

  EXPECT_EQ(Get(large).state(), v1::QUEUED);
  EXPECT_THAT(Get(large).warnings(),
              ElementsAre(StartsWith("waits for a larger worker: it needs ")));
  std::map<std::string, size_t> first, last;
  for (size_t i = 0; i < turns.order().size(); ++i) {
    first.try_emplace(turns.order()[i], i);
    last[turns.order()[i]] = i;
  }
  ASSERT_EQ(first.size(), size_t{kSlots});
  EXPECT_EQ(turns.order().size(), size_t{kSlots * kSteps});
  for (const auto& [one, begin] : first)
    for (const auto& [other, end] : last) EXPECT_LT(begin, end) << one << " and " << other;

  Worker worker(*server_, bases_, /*slots=*/1, nullptr);
  for (uint64_t i = 0; i < kSlots; ++i) {
    const v1::Job alone = Ended(Submit(Spec("alone-" + std::to_string(i), "short", i)));
    ASSERT_EQ(alone.state(), v1::SUCCEEDED) << alone.error().message();
    EXPECT_EQ(alone.adapter_version_sha256(), together[i]);
  }
  EXPECT_NE(together[0], together[1]) << "their seeds differ";
}

}  // namespace
}  // namespace graft
