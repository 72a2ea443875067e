#include "worker/app/metrics.h"

#include <unistd.h>

#include <exception>
#include <fstream>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "worker/app/adapter_losses.h"

namespace graft::worker::app {
namespace {

using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;

const Histogram::BucketBoundaries kSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                              0.25,  0.5,    1,     2.5,  5,     10,   30};
const Histogram::BucketBoundaries kRows = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

Histogram& AddHistogram(prometheus::Registry& registry, const char* name, const char* help,
                        const Histogram::BucketBoundaries& buckets,
                        const prometheus::Labels& labels = {}) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, buckets);
}

struct Sample {
  double value = 0;
  std::vector<prometheus::ClientMetric::Label> labels;
};

MetricFamily Family(const char* name, const char* help, MetricType type,
                    std::vector<Sample> samples) {
  MetricFamily family{name, help, type, {}};
  for (Sample& sample : samples) {
    prometheus::ClientMetric metric;
    metric.label = std::move(sample.labels);
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = sample.value;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0, resident_pages = 0;
  statm >> pages >> resident_pages;
  return resident_pages * static_cast<double>(::sysconf(_SC_PAGE_SIZE));
}

double Number(int64_t value) { return static_cast<double>(value); }

std::vector<Sample> MemoryByKind(const engine::EngineFigures& f, int64_t total_bytes) {
  return {{Number(total_bytes), {{"kind", "total"}}},
          {Number(f.memory_bytes), {{"kind", "used"}}},
          {Number(f.peak_memory_bytes), {{"kind", "peak"}}},
          {Number(f.memory.budget), {{"kind", "budget"}}},
          {Number(f.memory.free), {{"kind", "free"}}},
          {Number(f.memory.bases), {{"kind", "bases"}}},
          {Number(f.memory.adapters), {{"kind", "adapters"}}},
          {Number(f.memory.keys_values), {{"kind", "kv"}}},
          {Number(f.memory.training), {{"kind", "training"}}},
          {Number(f.memory.passes), {{"kind", "passes"}}}};
}

std::vector<Sample> OnePerBase(const std::vector<engine::ResidentBase>& bases) {
  // One base may be held in two precisions.
  std::set<std::string> ids;
  for (const engine::ResidentBase& base : bases) ids.insert(base.id);
  std::vector<Sample> samples;
  for (const std::string& id : ids) samples.push_back({1, {{"base", id}}});
  return samples;
}

}  // namespace

class Metrics::Collector : public prometheus::Collectable {
 public:
  explicit Collector(const std::string& build)
      : registry_(std::make_shared<prometheus::Registry>()),
        step_seconds(AddHistogram(*registry_, "graft_train_step_seconds",
                                  "Time of one optimizer step, of one job", kSeconds)),
        batch_rows(AddHistogram(*registry_, "graft_batch_rows",
                                "Packed rows (tokens) of a serving pass", kRows)),
        load_seconds(AddHistogram(*registry_, "graft_adapter_load_seconds",
                                  "Time to load an adapter version", kSeconds,
                                  {{"tier", "device"}})),
        swap_seconds(AddHistogram(*registry_, "graft_swap_to_first_token_seconds",
                                  "Time from a request whose version had to be loaded to its "
                                  "answer",
                                  kSeconds)) {
    prometheus::BuildGauge()
        .Name("graft_build_info")
        .Help("Always 1; its labels say what runs")
        .Register(*registry_)
        .Add({{"version", build}, {"process", "worker"}})
        .Set(1);
  }

  /// Counters and gauges are read from the engine at each scrape, so that nothing is counted twice.
  std::vector<MetricFamily> Collect() const override {
    const std::lock_guard lock(mutex_);
    std::vector<MetricFamily> families = registry_->Collect();
    if (engine_ == nullptr) return families;
    const engine::EngineFigures f = engine_->figures();
    const auto counter = [&](const char* name, const char* help, std::vector<Sample> samples) {
      families.push_back(Family(name, help, MetricType::Counter, std::move(samples)));
    };
    const auto gauge = [&](const char* name, const char* help, std::vector<Sample> samples) {
      families.push_back(Family(name, help, MetricType::Gauge, std::move(samples)));
    };
    counter("graft_train_tokens_total", "Tokens trained on", {{Number(f.train_tokens), {}}});
    counter("graft_train_steps_total", "Optimizer steps", {{Number(f.train_steps), {}}});
    const Spans spans = spans_();
    counter("graft_trace_spans_total",
            "Spans of traces by what became of them: sent to the collector, or dropped",
            {{Number(spans.sent), {{"result", "sent"}}},
             {Number(spans.dropped), {{"result", "dropped"}}}});
    gauge("graft_train_fused_jobs", "Jobs that train on this worker",
          {{Number(f.training_jobs), {}}});
    gauge("graft_engine_requests_waiting", "Inputs that wait for a serving pass",
          {{Number(f.requests_waiting), {}}});
    gauge("graft_generations_running", "Requests whose texts aren't over",
          {{Number(f.generations), {}}});
    counter("graft_prompt_tokens_total", "Tokens of prompts computed",
            {{Number(f.prompt_tokens), {}}});
    counter("graft_generated_tokens_total", "Tokens generated", {{Number(f.generated_tokens), {}}});
    counter("graft_preemptions_total",
            "Texts that gave their keys and values back to older ones and are computed again",
            {{Number(f.preemptions), {}}});
    gauge(
        "graft_kv_cache_bytes",
        "Keys and values of texts that are being generated: allocated, and used by texts",
        {{Number(f.kv_bytes), {{"kind", "total"}}}, {Number(f.kv_used_bytes), {{"kind", "used"}}}});
    gauge("graft_adapters_resident", "Adapter versions held",
          {{Number(f.adapters_resident), {{"tier", "device"}}}});
    gauge("graft_adapter_bytes", "Bytes of adapter versions held",
          {{Number(f.adapter_bytes), {{"tier", "device"}}}});
    counter("graft_adapter_lookups_total", "Lookups of adapter versions by result",
            {{Number(f.lookups_hit), {{"tier", "device"}, {"result", "hit"}}},
             {Number(f.lookups_miss), {{"tier", "device"}, {"result", "miss"}}}});
    gauge("graft_device_memory_bytes",
          "Memory of the device: all of it (total), what tensors take and took at most since the "
          "last job began (used, peak), the worker's own budget, and of that what is free and what "
          "is held for bases, adapters, keys and values, training, and passes",
          MemoryByKind(f, engine_->device_facts().memory_bytes));
    gauge("process_resident_memory_bytes", "Memory of this process that is in RAM",
          {{ResidentBytes(), {}}});
    std::vector<Sample> by_adapter;
    for (const auto& [adapter, loss] : losses.Get(AdapterLosses::Clock::now())) {
      by_adapter.push_back({loss, {{"adapter", adapter}}});
    }
    gauge("graft_train_loss",
          "Loss of the last step of each adapter in training; beyond the busiest 20 the mean of "
          "the rest as \"other\"",
          std::move(by_adapter));
    gauge("graft_base_resident", "1 for each base held", OnePerBase(engine_->resident_bases()));
    return families;
  }

  void set_engine(const engine::Engine* engine, std::function<Spans()> spans = {}) {
    const std::lock_guard lock(mutex_);
    engine_ = engine;
    spans_ = std::move(spans);
  }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  mutable std::mutex mutex_;
  const engine::Engine* engine_ = nullptr;
  std::function<Spans()> spans_;

 public:
  Histogram& step_seconds;
  Histogram& batch_rows;
  Histogram& load_seconds;
  Histogram& swap_seconds;
  AdapterLosses losses;
};

StatusOr<std::unique_ptr<Metrics>> Metrics::Create(const std::string& address,
                                                   const std::string& build) {
  std::unique_ptr<Metrics> metrics(new Metrics());
  metrics->collector_ = std::make_shared<Collector>(build);
  try {
    metrics->exposer_ = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception& error) {
    return UnavailableError("--metrics " + address + " can't be listened on: " + error.what());
  }
  metrics->exposer_->RegisterCollectable(metrics->collector_);
  return metrics;
}

Metrics::Metrics() = default;
Metrics::~Metrics() = default;

engine::Engine::Probe Metrics::probe() {
  return {.train_step = [c = collector_](double seconds) { c->step_seconds.Observe(seconds); },
          .train_loss =
              [c = collector_](const std::string& adapter, double loss) {
                c->losses.Set(adapter, loss, AdapterLosses::Clock::now());
              },
          .serving_pass = [c = collector_](int64_t rows) { c->batch_rows.Observe(Number(rows)); },
          .adapter_load = [c = collector_](double seconds) { c->load_seconds.Observe(seconds); }};
}

std::function<void(double)> Metrics::swapped() {
  return [c = collector_](double seconds) { c->swap_seconds.Observe(seconds); };
}

void Metrics::Attach(const engine::Engine& engine, std::function<Spans()> spans) {
  collector_->set_engine(&engine, std::move(spans));
}
void Metrics::Detach() { collector_->set_engine(nullptr); }
int Metrics::port() const { return exposer_->GetListeningPorts().front(); }

}  // namespace graft::worker::app
