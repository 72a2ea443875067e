/// graft's half of bench/training and bench/quality: one job through the engine, as a worker runs
/// it, without a service around it. See kUsage.

#include <getopt.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/training/step_products.h"
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

constexpr char kUsage[] =
    R"(usage: train_bench [OPTIONS] BASES_FOLDER BASE JOB.json DATA

JOB.json is a graft.v1.JobSpec in JSON; DATA is a CSV, TSV or JSONL file with its columns. Prints one JSON line: tokens
and seconds of the steps after the warm-up (from the end of its last step to the end of the job's), the mean loss, the
peak memory, and the loss and the accuracy (a language model's: of tokens) on the test data.

  --device D       cpu (default) or cuda:N
  --threads N      CPU threads; 0 (default): one a core
  --warmup N       steps that aren't timed (default 2); 0: nothing is timed
  --products       then run the matrix products of the same steps alone, and print their seconds; of language
                   models' LoRA
  --test FILE      test data in DATA's columns
  --write FOLDER   write the files of the version there
)";

struct Options {
  engine::EngineOptions engine;
  size_t warmup = 2;
  bool products = false;
  std::string base, job, data, test;
  std::filesystem::path write;
};

struct StepEnd {
  Clock::time_point when;
  int64_t tokens = 0;
  int64_t rows = 0;            ///< Computed for them.
  std::clock_t processor = 0;  ///< Time of the process.
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

void Must(const graft::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "train_bench: %s\n", status.ToString().c_str());
  std::exit(2);
}

template <typename T>
T Must(graft::StatusOr<T> result) {
  if (!result.ok()) Must(result.status());
  return std::move(*result);
}

graft::StatusOr<graft::families::Layout> ReadLayout(const std::filesystem::path& base) {
  GRAFT_ASSIGN_OR_RETURN(const std::string config, graft::ReadFile(base / "config.json", 1 << 20));
  GRAFT_ASSIGN_OR_RETURN(const auto checkpoint, graft::safetensors::Checkpoint::Open(base));
  return graft::families::ReadLayout(config, checkpoint->names());
}

graft::StatusOr<graft::spec::JobSpec> ReadSpec(const std::string& path,
                                               const graft::families::Layout& layout) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, graft::ReadFile(path, 1 << 20));
  GRAFT_ASSIGN_OR_RETURN(const graft::Json json, graft::ParseJson(text, path));
  GRAFT_ASSIGN_OR_RETURN(graft::spec::JobSpec spec, graft::spec::FromJson(json));
  return graft::spec::Resolve(std::move(spec), layout);
}

graft::StatusOr<std::shared_ptr<const graft::datasets::IngestedDataset>> ReadData(
    const Options& options, const graft::spec::JobSpec& job) {
  const graft::spec::DatasetSpec& spec = job.dataset;
  const auto source = [](const std::string& path) {
    return graft::datasets::SourceFile{path, [path] { return graft::datasets::FromFile(path); }};
  };
  graft::datasets::IngestSpec ingest;
  ingest.train = source(options.data);
  if (!options.test.empty()) ingest.test = source(options.test);
  ingest.text_columns = spec.text_columns;
  ingest.label_column = spec.label_column;
  if (job.task.kind == graft::tasks::Kind::kCausalLanguageModeling) {
    ingest.language = {.text = spec.text_columns.empty() ? "" : spec.text_columns.front(),
                       .prompt = spec.prompt_column,
                       .completion = spec.completion_column,
                       .messages = spec.messages_column,
                       .tools = spec.tools_column};
  }
  auto dataset = std::make_shared<graft::datasets::IngestedDataset>();
  GRAFT_ASSIGN_OR_RETURN(const auto report, graft::datasets::Ingest(ingest, dataset.get()));
  GRAFT_RETURN_IF_ERROR(graft::datasets::ToStatus(report));
  return std::shared_ptr<const graft::datasets::IngestedDataset>(std::move(dataset));
}

/// Ends the program if `text` isn't a count.
int ReadCount(std::string_view text) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() && count >= 0) return count;
  std::fprintf(stderr, "train_bench: \"%s\" is not a count\n", std::string(text).c_str());
  std::exit(2);
}

/// Ends the program if the command line is wrong.
Options ReadOptions(int argc, char** argv) {
  constexpr option kOptions[] = {
      {"device", required_argument, nullptr, 'd'}, {"threads", required_argument, nullptr, 't'},
      {"warmup", required_argument, nullptr, 'w'}, {"products", no_argument, nullptr, 'p'},
      {"test", required_argument, nullptr, 'e'},   {"write", required_argument, nullptr, 'o'},
      {"help", no_argument, nullptr, 'h'},         {}};
  Options options;
  for (int which; (which = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (which) {
      case 'd':
        options.engine.device = optarg;
        break;
      case 't':
        options.engine.threads = ReadCount(optarg);
        break;
      case 'w':
        options.warmup = static_cast<size_t>(ReadCount(optarg));
        break;
      case 'p':
        options.products = true;
        break;
      case 'e':
        options.test = optarg;
        break;
      case 'o':
        options.write = optarg;
        break;
      default:
        std::fputs(kUsage, which == 'h' ? stdout : stderr), std::exit(which == 'h' ? 0 : 2);
    }
  }
  if (argc - optind != 4) std::fputs(kUsage, stderr), std::exit(2);
  options.engine.bases = argv[optind];
  options.base = argv[optind + 1];
  options.job = argv[optind + 2];
  options.data = argv[optind + 3];
  return options;
}

/// Trains; `ends` gets the end of each step.
engine::TrainOutcome Train(const Options& options, std::shared_ptr<const graft::spec::JobSpec> spec,
                           std::vector<StepEnd>& ends, double& loss) {
  engine::TrainRequest request;
  request.job_id = "bench";
  request.base = options.base;
  request.spec = std::move(spec);
  request.dataset = Must(ReadData(options, *request.spec));

  std::unique_ptr<engine::Engine> running;
  engine::Engine::Probe probe;
  probe.train_step = [&](double) {
    const engine::EngineFigures figures = running->figures();
    ends.push_back({Clock::now(), figures.train_tokens, figures.train_rows, std::clock()});
  };
  running = Must(engine::Engine::Create(options.engine, probe));
  auto observer = std::make_shared<Observer>();
  auto done = observer->done();
  Must(running->Train(std::move(request), observer));
  engine::TrainOutcome outcome = Must(done.get());
  loss = observer->loss();
  return outcome;
}

/// The products of the steps behind the warm-up.
graft::bench::ProductTime RunProducts(const Options& options, const graft::spec::JobSpec& spec,
                                      const graft::families::Layout& layout,
                                      const std::vector<StepEnd>& ends,
                                      const engine::TrainOutcome& outcome) {
  const auto products =
      Must(graft::bench::StepProducts::Create(spec, layout, outcome.precision == "bf16"));
  // Products are linear in the rows, so each step may have the same part of them that carries loss.
  const double wanted = static_cast<double>(outcome.facts.loss_tokens) /
                        static_cast<double>(outcome.facts.train_tokens);
  graft::bench::ProductTime all;
  for (size_t i = 1; i < ends.size(); ++i) {
    const int64_t tokens = ends[i].tokens - ends[i - 1].tokens;
    const graft::bench::ProductTime took =
        products->Run({.rows = ends[i].rows - ends[i - 1].rows,
                       .wanted = std::llround(static_cast<double>(tokens) * wanted)});
    if (i < options.warmup) continue;
    all.seconds += took.seconds;
    all.cpu_seconds += took.cpu_seconds;
  }
  return all;
}

void Write(const engine::Files& files, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, bytes] : files) Must(graft::WriteFileDurably(folder / name, bytes));
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = ReadOptions(argc, argv);
  std::vector<StepEnd> ends;
  double loss = 0;
  const graft::families::Layout layout = Must(ReadLayout(options.engine.bases / options.base));
  const auto spec =
      std::make_shared<const graft::spec::JobSpec>(Must(ReadSpec(options.job, layout)));
  const engine::TrainOutcome outcome = Train(options, spec, ends, loss);
  graft::Json figures = {{"loss", loss},
                         {"precision", outcome.precision},
                         {"peak_bytes", outcome.facts.peak_memory_bytes}};
  if (options.warmup > 0) {
    if (ends.size() <= options.warmup) {
      std::fprintf(stderr, "train_bench: %zu steps are too few for %zu to warm up\n", ends.size(),
                   options.warmup);
      return 2;
    }
    const StepEnd& from = ends[options.warmup - 1];
    const StepEnd& to = ends.back();
    figures["tokens"] = to.tokens - from.tokens;
    figures["rows"] = to.rows - from.rows;
    figures["seconds"] = std::chrono::duration<double>(to.when - from.when).count();
    figures["cpu_seconds"] = static_cast<double>(to.processor - from.processor) / CLOCKS_PER_SEC;
    figures["steps"] = ends.size() - options.warmup;
    if (options.products) {
      const auto products = RunProducts(options, *spec, layout, ends, outcome);
      figures["product_seconds"] = products.seconds;
      figures["product_cpu_seconds"] = products.cpu_seconds;
    }
  }
  for (const engine::Evaluation& evaluation : outcome.evaluations) {
    if (evaluation.split != "test") continue;
    figures["test_loss"] = evaluation.loss;
    const bool is_language = evaluation.metrics.contains("token_accuracy");
    figures["test_accuracy"] = evaluation.metrics.at(is_language ? "token_accuracy" : "accuracy");
  }
  if (!options.write.empty()) Write(outcome.artifact.files, options.write);
  std::printf("%s\n", figures.dump().c_str());
  return 0;
}
