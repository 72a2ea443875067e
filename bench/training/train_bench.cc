// graft's half of bench/training: one job through the engine, as a worker runs it, without a
// service around it. Usage: train_bench BASES_FOLDER BASE JOB.json DATA [THREADS [WARMUP_STEPS
// [DEVICE]]] JOB.json is a graft.v1.JobSpec in JSON; DATA is a CSV, TSV or JSONL file with its
// columns. Prints one JSON line: tokens and seconds of the steps after the warm-up (from the end of
// the last warm-up step to the end of the last one), the mean loss and the peak memory.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/datasets/ingest.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "common/spec/job_spec.h"
#include "worker/engine/engine.h"

namespace {

namespace engine = graft::worker::engine;
using Clock = std::chrono::steady_clock;

struct StepEnd {
  Clock::time_point when;
  int64_t tokens = 0;
};

class Observer : public engine::TrainObserver {
 public:
  void OnProgress(const engine::Progress& progress) override { loss_ = progress.loss; }
  void OnDone(graft::StatusOr<engine::TrainOutcome> outcome) override {
    done_.set_value(std::move(outcome));
  }
  std::future<graft::StatusOr<engine::TrainOutcome>> done() { return done_.get_future(); }
  double loss() const { return loss_; }

 private:
  std::promise<graft::StatusOr<engine::TrainOutcome>> done_;
  double loss_ = 0;
};

template <typename T>
T Must(graft::StatusOr<T> result) {
  if (result.ok()) return std::move(*result);
  std::fprintf(stderr, "train_bench: %s\n", result.status().ToString().c_str());
  std::exit(2);
}

graft::StatusOr<graft::spec::JobSpec> ReadSpec(const std::string& path,
                                               const std::filesystem::path& base) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, graft::ReadFile(path, 1 << 20));
  GRAFT_ASSIGN_OR_RETURN(const graft::Json json, graft::ParseJson(text, path));
  GRAFT_ASSIGN_OR_RETURN(graft::spec::JobSpec spec, graft::spec::FromJson(json));
  GRAFT_ASSIGN_OR_RETURN(const std::string config, graft::ReadFile(base / "config.json", 1 << 20));
  GRAFT_ASSIGN_OR_RETURN(const auto checkpoint, graft::safetensors::Checkpoint::Open(base));
  GRAFT_ASSIGN_OR_RETURN(const graft::families::Layout layout,
                         graft::families::ReadLayout(config, checkpoint->names()));
  return graft::spec::Resolve(std::move(spec), layout);
}

graft::StatusOr<std::shared_ptr<const graft::datasets::IngestedDataset>> ReadData(
    const std::string& path, const graft::spec::DatasetSpec& spec) {
  graft::datasets::IngestSpec ingest;
  ingest.train = {path, [path] { return graft::datasets::FromFile(path); }};
  ingest.text_columns = spec.text_columns;
  ingest.label_column = spec.label_column;
  auto dataset = std::make_shared<graft::datasets::IngestedDataset>();
  GRAFT_ASSIGN_OR_RETURN(const auto report, graft::datasets::Ingest(ingest, dataset.get()));
  GRAFT_RETURN_IF_ERROR(graft::datasets::ToStatus(report));
  return std::shared_ptr<const graft::datasets::IngestedDataset>(std::move(dataset));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr,
                 "usage: train_bench BASES_FOLDER BASE JOB.json DATA [THREADS [WARMUP_STEPS "
                 "[DEVICE]]]\n");
    return 2;
  }
  const std::filesystem::path bases = argv[1];
  auto spec = std::make_shared<graft::spec::JobSpec>(Must(ReadSpec(argv[3], bases / argv[2])));
  const auto dataset = Must(ReadData(argv[4], spec->dataset));
  const size_t warmup = argc > 6 ? std::strtoul(argv[6], nullptr, 10) : 2;

  std::unique_ptr<engine::Engine> running;
  std::vector<StepEnd> ends;
  engine::Engine::Probe probe;
  probe.train_step = [&](double) {
    ends.push_back({Clock::now(), running->figures().train_tokens});
  };
  engine::EngineOptions options;
  options.bases = bases;
  options.threads = argc > 5 ? std::atoi(argv[5]) : 0;
  options.device = argc > 7 ? argv[7] : "cpu";
  running = Must(engine::Engine::Create(options, probe));

  engine::TrainRequest request;
  request.job_id = "bench";
  request.base = argv[2];
  request.spec = spec;
  request.dataset = dataset;
  auto observer = std::make_shared<Observer>();
  auto done = observer->done();
  const graft::Status started = running->Train(std::move(request), observer);
  if (!started.ok()) {
    std::fprintf(stderr, "train_bench: %s\n", started.ToString().c_str());
    return 2;
  }
  const engine::TrainOutcome outcome = Must(done.get());
  if (warmup == 0 || ends.size() <= warmup) {
    std::fprintf(stderr, "train_bench: %zu steps are too few for %zu to warm up, at least 1\n",
                 ends.size(), warmup);
    return 2;
  }
  const StepEnd& from = ends[warmup - 1];
  const StepEnd& to = ends.back();
  const double seconds = std::chrono::duration<double>(to.when - from.when).count();
  std::printf("%s\n", graft::Json({{"tokens", to.tokens - from.tokens},
                                   {"seconds", seconds},
                                   {"steps", ends.size() - warmup},
                                   {"loss", observer->loss()},
                                   {"precision", outcome.precision},
                                   {"peak_bytes", outcome.facts.peak_memory_bytes}})
                          .dump()
                          .c_str());
  return 0;
}
