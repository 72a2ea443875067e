#include "worker/app/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <mutex>

namespace graft::worker::app {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

const prometheus::Histogram::BucketBoundaries kSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                          0.5,   1,      2.5,   5,    10,    30};
const prometheus::Histogram::BucketBoundaries kRows = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

}  // namespace

class Metrics::Collector : public prometheus::Collectable {
 public:
  explicit Collector(const std::string& build)
      : registry(std::make_shared<prometheus::Registry>()),
        step_seconds(BuildHistogram().Name("graft_train_step_seconds").Help("Time of one optimizer step").Register(*registry).Add({}, kSeconds)),
        batch_rows(BuildHistogram().Name("graft_batch_rows").Help("Packed rows (tokens) of a serving pass").Register(*registry).Add({}, kRows)),
        load_seconds(BuildHistogram().Name("graft_adapter_load_seconds").Help("Time to load an adapter version").Register(*registry).Add({{"tier", "device"}}, kSeconds)) {
    BuildGauge().Name("graft_build_info").Help("1, with the build as labels").Register(*registry).Add({{"version", build}, {"component", "worker"}}).Set(1);
  }

  /// Counters and gauges are read from the engine at each scrape, so that nothing is counted twice.
  std::vector<prometheus::MetricFamily> Collect() const override {
    const std::lock_guard lock(mutex);
    std::vector<prometheus::MetricFamily> families = registry->Collect();
    if (engine == nullptr) return families;
    const engine::EngineFigures f = engine->figures();
    const auto add = [&](const char* name, const char* help, prometheus::MetricType type, double value,
                         std::vector<prometheus::ClientMetric::Label> labels = {}) {
      prometheus::ClientMetric metric;
      metric.label = std::move(labels);
      if (type == prometheus::MetricType::Counter) {
        metric.counter.value = value;
      } else {
        metric.gauge.value = value;
      }
      for (prometheus::MetricFamily& family : families) {
        if (family.name == name) return family.metric.push_back(metric);
      }
      families.push_back({name, help, type, {metric}});
    };
    using Type = prometheus::MetricType;
    const auto number = [](int64_t value) { return static_cast<double>(value); };
    add("graft_train_tokens_total", "Tokens trained on", Type::Counter, number(f.train_tokens));
    add("graft_train_steps_total", "Optimizer steps", Type::Counter, number(f.train_steps));
    add("graft_train_fused_jobs", "Jobs that train on this worker", Type::Gauge, number(f.training_jobs));
    add("graft_engine_requests_waiting", "Inputs that wait for a serving pass", Type::Gauge, number(f.requests_waiting));
    add("graft_adapters_resident", "Adapter versions held", Type::Gauge, number(f.adapters_resident), {{"tier", "device"}});
    add("graft_adapter_bytes", "Bytes of adapter versions held", Type::Gauge, number(f.adapter_bytes), {{"tier", "device"}});
    add("graft_adapter_lookups_total", "Lookups of adapter versions", Type::Counter, number(f.lookups_hit), {{"tier", "device"}, {"result", "hit"}});
    add("graft_adapter_lookups_total", "Lookups of adapter versions", Type::Counter, number(f.lookups_miss), {{"tier", "device"}, {"result", "miss"}});
    for (const engine::ResidentBase& base : engine->resident_bases()) {
      add("graft_base_resident", "1 for each base held", Type::Gauge, 1, {{"base", base.id}});
    }
    return families;
  }

  mutable std::mutex mutex;
  const engine::Engine* engine = nullptr;
  std::shared_ptr<prometheus::Registry> registry;
  prometheus::Histogram& step_seconds;
  prometheus::Histogram& batch_rows;
  prometheus::Histogram& load_seconds;
};

StatusOr<std::unique_ptr<Metrics>> Metrics::Create(const std::string& address, const std::string& build) {
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
          .serving_pass = [c = collector_](int64_t rows) { c->batch_rows.Observe(static_cast<double>(rows)); },
          .adapter_load = [c = collector_](double seconds) { c->load_seconds.Observe(seconds); }};
}

void Metrics::Attach(const engine::Engine& engine) {
  const std::lock_guard lock(collector_->mutex);
  collector_->engine = &engine;
}

void Metrics::Detach() {
  const std::lock_guard lock(collector_->mutex);
  collector_->engine = nullptr;
}

int Metrics::port() const { return exposer_->GetListeningPorts().front(); }

}  // namespace graft::worker::app
