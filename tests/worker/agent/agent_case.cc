#include "tests/worker/agent/agent_case.h"

#include <numeric>

#include "common/datasets/dataset.h"
#include "common/families/layout.h"
#include "common/objects/keys.h"
#include "common/safetensors/checkpoint.h"
#include "tests/support/must.h"

namespace graft::worker::agent {
namespace {

using graft::testing::Must;

constexpr const char* kBase = "base-bert";
const std::filesystem::path kBases = GRAFT_SOURCE_DIR "/tests/golden/data";

std::unique_ptr<engine::Engine> MakeEngine(int64_t memory_bytes = 0) {
  engine::EngineOptions options;
  options.memory_bytes = memory_bytes;
  options.bases = kBases;
  options.threads = 2;
  // Not that of the tests' jobs: so a plain base in memory stands in for no version's, nor the
  // other way round.
  options.base_precision = spec::Precision::kBf16;
  return Must(engine::Engine::Create(std::move(options)));
}

/// Three labels, each with words of its own; the base's vocabulary has w0 to w91.
std::vector<datasets::Example> MakeExamples(int count) {
  std::vector<datasets::Example> examples;
  for (int i = 0; i < count; ++i) {
    const int label = i % 3;
    const auto word = [&](int k) { return "w" + std::to_string(30 * label + (7 * i + k) % 30); };
    examples.push_back({word(1) + " " + word(2) + " " + word(3), "", label});
  }
  return examples;
}

spec::JobSpec MakeSpec(const std::function<void(spec::Hyperparameters&)>& change) {
  const std::filesystem::path folder = kBases / kBase;
  const auto checkpoint = Must(safetensors::Checkpoint::Open(folder));
  const families::Layout layout =
      Must(families::ReadLayout(Must(ReadFile(folder / "config.json")), checkpoint->names()));
  spec::JobSpec spec;
  spec.base = kBase;
  spec.adapter = "test";
  spec.method =
      Must(methods::ParseMethod("lora", {{"rank", 4}, {"target_modules", {"query", "value"}}}));
  spec.dataset.train = "graft://datasets/train";
  spec::Hyperparameters& hp = spec.hyperparameters;
  hp.epochs = 1;
  hp.batch_size = 4;
  hp.evaluations_per_epoch = 6;
  hp.max_length = 24;
  hp.precision = spec::Precision::kFp32;
  hp.checkpoint_seconds = 3600;
  if (change) change(hp);
  return Must(spec::Resolve(std::move(spec), layout));
}

}  // namespace

AgentCase::AgentCase()
    : folder_(Must(TempFolder::Create())),
      engine_(MakeEngine()),
      server_("unix:" + (folder_.path() / "server.sock").string()),
      link_(std::make_shared<ServerLink>(server_.address())),
      objects_(std::make_shared<Objects>(link_)) {}

void AgentCase::LimitMemory(int64_t bytes) { engine_ = MakeEngine(bytes); }

void AgentCase::StoreData(int train, pb::Lease& lease) {
  datasets::IngestedDataset data;
  data.label_names = {"negative", "neutral", "positive"};
  data.train = MakeExamples(train);
  data.validation = MakeExamples(6);
  const std::string bytes = datasets::Serialize(data);
  lease.set_dataset_sha256(Sha256Hex(bytes));
  server_.Store(objects::DatasetKey(kTenant, lease.dataset_sha256()), bytes);
}

pb::Lease AgentCase::MakeLease(const std::string& job, const std::function<void(Hyper&)>& change) {
  pb::Lease lease;
  lease.set_tenant(kTenant);
  lease.set_job_id(job);
  lease.set_token(++token_);
  lease.set_attempt(1);
  lease.set_spec_json(MakeSpec(change).ToJson().dump());
  StoreData(4 * kSteps, lease);
  return lease;
}

pb::Lease AgentCase::LargeLease(const std::string& job) {
  pb::Lease lease = EndlessLease(job);
  StoreData(1'000'000, lease);
  return lease;
}

pb::Lease AgentCase::EndlessLease(const std::string& job,
                                  const std::function<void(Hyper&)>& change) {
  return MakeLease(job, [&](Hyper& hp) {
    hp.max_steps = int64_t{1} << 40;
    if (change) change(hp);
  });
}

Status AgentCase::LoadStored(const std::string& prefix, const std::string& version_sha256) {
  GRAFT_ASSIGN_OR_RETURN(engine::Files files, objects_->GetVersion(prefix));
  return engine_
      ->Load({.version = version_sha256,
              .base = kBase,
              .base_fingerprint = {},
              .files = std::move(files),
              .prove = true})
      .status();
}

void RunningAgentCase::StartAgent(int max_jobs) {
  AgentOptions options;
  options.worker_id = "worker";
  options.engine_address = "127.0.0.1:1";
  options.build = "test";
  options.max_jobs = max_jobs;
  agent_ = std::make_unique<Agent>(options, *engine_, link_, objects_);
  agent_->Start();
}

std::vector<int64_t> Range(int64_t first, int64_t last) {
  std::vector<int64_t> numbers(static_cast<size_t>(last - first + 1));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

}  // namespace graft::worker::agent
