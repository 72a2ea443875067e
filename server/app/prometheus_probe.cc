#include "server/app/prometheus_probe.h"

#include <exception>
#include <utility>

#include "common/methods/method_spec.h"

namespace graft::server::app {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Histogram;

const Histogram::BucketBoundaries kRpcBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                 0.25,  0.5,    1,     2.5,  5,     10,   60};
/// vLLM's for end-to-end latency, and finer ones below: a classifier answers in milliseconds.
const Histogram::BucketBoundaries kE2eBuckets = {
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 0.8, 1,   1.5, 2,    2.5, 5,
    10,     15,    20,   30,    40,   50,  60,  120, 240, 480, 960, 1920, 7680};
/// vLLM's for the time to the first token, and between two.
const Histogram::BucketBoundaries kFirstTokenBuckets = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
    1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
const Histogram::BucketBoundaries kInterTokenBuckets = {
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
const Histogram::BucketBoundaries kJobBuckets = {0.1, 0.5, 1,    5,    10,   30,    60,    120,
                                                 300, 600, 1800, 3600, 7200, 14400, 43200, 86400};

/// What a job's row goes through, by the reasons of its events.
const std::pair<const char*, const char*> kTransitions[] = {{"QUEUED", "DATA_READY"},
                                                            {"RUNNING", "LEASED"},
                                                            {"SUCCEEDED", "COMPLETED"},
                                                            {"FAILED", "ERROR"},
                                                            {"FAILED", "BAD_DATA"},
                                                            {"FAILED", "TOO_MANY_ATTEMPTS"},
                                                            {"QUEUED", "RETRY"},
                                                            {"QUEUED", "LEASE_EXPIRED"},
                                                            {"QUEUED", "STALLED"},
                                                            {"QUEUED", "WORKER_DIED"},
                                                            {"QUEUED", "WORKER_DRAINED"},
                                                            {"QUEUED", "NO_ROOM"},
                                                            {"PAUSED", "PAUSED_BY_USER"},
                                                            {"QUEUED", "RESUMED_BY_USER"},
                                                            {"CANCELLED", "CANCELLED_BY_USER"}};

}  // namespace

PrometheusProbe::PrometheusProbe(std::filesystem::path data)
    : registry_(std::make_shared<prometheus::Registry>()),
      system_(std::make_shared<SystemMetrics>(std::move(data))),
      requests_(BuildCounter()
                    .Name("graft_requests_total")
                    .Help("Finished RPCs by method and status code")
                    .Register(*registry_)),
      rpc_seconds_(BuildHistogram()
                       .Name("graft_rpc_seconds")
                       .Help("Time from an RPC's arrival to its end, by method")
                       .Register(*registry_)),
      requests_waiting_(BuildGauge()
                            .Name("graft_requests_waiting")
                            .Help("Inference requests that wait for a worker")
                            .Register(*registry_)
                            .Add({})),
      requests_running_(BuildGauge()
                            .Name("graft_requests_running")
                            .Help("Inference requests on a worker")
                            .Register(*registry_)
                            .Add({})),
      requests_rejected_(BuildCounter()
                             .Name("graft_requests_rejected_total")
                             .Help("Inference requests refused at once, by reason")
                             .Register(*registry_)),
      e2e_seconds_(BuildHistogram()
                       .Name("graft_e2e_request_latency_seconds")
                       .Help("Time from an inference request's admission to its answer")
                       .Register(*registry_)
                       .Add({}, kE2eBuckets)),
      first_token_seconds_(BuildHistogram()
                               .Name("graft_time_to_first_token_seconds")
                               .Help("Time from a text's admission to its first token")
                               .Register(*registry_)
                               .Add({}, kFirstTokenBuckets)),
      inter_token_seconds_(BuildHistogram()
                               .Name("graft_inter_token_latency_seconds")
                               .Help("Time between two tokens of a text")
                               .Register(*registry_)
                               .Add({}, kInterTokenBuckets)),
      transitions_(BuildCounter()
                       .Name("graft_job_transitions_total")
                       .Help("State changes of jobs made by this server, by new state and reason")
                       .Register(*registry_)),
      queue_seconds_(BuildHistogram()
                         .Name("graft_job_queue_seconds")
                         .Help("Time a job was queued before a worker took it")
                         .Register(*registry_)
                         .Add({}, kJobBuckets)),
      job_seconds_(BuildHistogram()
                       .Name("graft_job_duration_seconds")
                       .Help("Time from a job's first start to its end, by method")
                       .Register(*registry_)),
      leases_expired_(BuildCounter()
                          .Name("graft_leases_expired_total")
                          .Help("Leases that ended without their worker's word")
                          .Register(*registry_)
                          .Add({})),
      jobs_(BuildGauge()
                .Name("graft_jobs")
                .Help("Jobs in the store by state; store-wide, so read it with max()")
                .Register(*registry_)),
      workers_(BuildGauge()
                   .Name("graft_workers")
                   .Help("Workers known to this server")
                   .Register(*registry_)),
      base_resident_(BuildGauge()
                         .Name("graft_base_resident")
                         .Help("Number of workers that hold the base")
                         .Register(*registry_)) {
  BuildGauge()
      .Name("graft_build_info")
      .Help("Always 1; its labels say what runs")
      .Register(*registry_)
      .Add({{"version", "0.1.0"}, {"process", "server"}})
      .Set(1);
  for (int s = 1; s <= 7; ++s) SetJobs(static_cast<core::JobState>(s), 0);
  for (const char* state : {"ready", "draining"}) SetWorkers(state, 0);
  for (const char* reason : {"queue_full", "no_worker", "draining"})
    requests_rejected_.Add({{"reason", reason}});
  // A series that appears with its first event hides that event from rate() and increase().
  for (const std::string& method : methods::MethodNames())
    job_seconds_.Add({{"method", method}}, kJobBuckets);
  for (const auto& [state, reason] : kTransitions)
    transitions_.Add({{"state", state}, {"reason", reason}});
}

void PrometheusProbe::CallFinished(calls::Protocol protocol, std::string_view rpc, StatusCode code,
                                   double seconds) {
  const std::string by = protocol == calls::Protocol::kHttp ? "http" : "grpc";
  requests_
      .Add({{"protocol", by},
            {"rpc", std::string(rpc)},
            {"code", std::string(StatusCodeName(code))}})
      .Increment();
  rpc_seconds_.Add({{"protocol", by}, {"rpc", std::string(rpc)}}, kRpcBuckets).Observe(seconds);
}

void PrometheusProbe::InferenceWaiting(int delta) { requests_waiting_.Increment(delta); }
void PrometheusProbe::InferenceRunning(int delta) { requests_running_.Increment(delta); }
void PrometheusProbe::InferenceRejected(std::string_view reason) {
  requests_rejected_.Add({{"reason", std::string(reason)}}).Increment();
}
void PrometheusProbe::InferenceFinished(double seconds) { e2e_seconds_.Observe(seconds); }
void PrometheusProbe::FirstToken(double seconds) { first_token_seconds_.Observe(seconds); }
void PrometheusProbe::InterToken(double seconds, int tokens) {
  for (int i = 0; i < tokens; ++i) inter_token_seconds_.Observe(seconds);
}

void PrometheusProbe::JobTransition(core::JobState to, std::string_view reason) {
  transitions_
      .Add({{"state", std::string(core::JobStateName(to))}, {"reason", std::string(reason)}})
      .Increment();
}
void PrometheusProbe::JobStarted(double queue_seconds) { queue_seconds_.Observe(queue_seconds); }
void PrometheusProbe::JobEnded(std::string_view method, double seconds) {
  job_seconds_.Add({{"method", std::string(method)}}, kJobBuckets).Observe(seconds);
}
void PrometheusProbe::LeaseExpired() { leases_expired_.Increment(); }

void PrometheusProbe::SetJobs(core::JobState state, int64_t count) {
  jobs_.Add({{"state", std::string(core::JobStateName(state))}}).Set(static_cast<double>(count));
}
void PrometheusProbe::SetWorkers(std::string_view state, int count) {
  workers_.Add({{"state", std::string(state)}}).Set(count);
}
void PrometheusProbe::SetBaseResident(const std::string& base, int count) {
  base_resident_.Add({{"base", base}}).Set(count);
}

StatusOr<std::unique_ptr<prometheus::Exposer>> ServeMetrics(
    const std::string& address, const PrometheusProbe& probe,
    std::shared_ptr<prometheus::Collectable> others) {
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(address, 1);
    exposer->RegisterCollectable(probe.registry());
    exposer->RegisterCollectable(probe.system());
    exposer->RegisterCollectable(others);
    return exposer;
  } catch (const std::exception& error) {
    return UnavailableError("cannot serve metrics on " + address + ": " + error.what() +
                            " (is the port taken? --metrics chooses another, port 0 a free one)");
  }
}

}  // namespace graft::server::app
