#pragma once
/// The server's metrics as Prometheus sees them (names and meanings: docs, "Metrics").
/// Thread safety: thread-safe.

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "server/app/system_metrics.h"
#include "server/calls/probe.h"

namespace graft::server::app {

class PrometheusProbe : public calls::Probe {
 public:
  /// `data` is the data folder, whose disk is watched; empty for none.
  explicit PrometheusProbe(std::filesystem::path data = {});

  void CallFinished(calls::Protocol protocol, std::string_view rpc, StatusCode code,
                    double seconds) override;
  void InferenceWaiting(int delta) override;
  void InferenceRunning(int delta) override;
  void InferenceRejected(std::string_view reason) override;
  void InferenceFinished(double seconds) override;
  void FirstToken(double seconds) override;
  void InterToken(double seconds, int tokens) override;
  void JobTransition(core::JobState to, std::string_view reason) override;
  void JobStarted(double queue_seconds) override;
  void JobEnded(std::string_view method, double seconds) override;
  void LeaseExpired() override;
  void SetJobs(core::JobState state, int64_t count) override;
  void SetWorkers(std::string_view state, int count) override;
  void SetBaseResident(const std::string& base, int count) override;

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }
  const std::shared_ptr<SystemMetrics>& system() const { return system_; }

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<SystemMetrics> system_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& rpc_seconds_;
  prometheus::Gauge& requests_waiting_;
  prometheus::Gauge& requests_running_;
  prometheus::Family<prometheus::Counter>& requests_rejected_;
  prometheus::Histogram& e2e_seconds_;
  prometheus::Histogram& first_token_seconds_;
  prometheus::Histogram& inter_token_seconds_;
  prometheus::Family<prometheus::Counter>& transitions_;
  prometheus::Histogram& queue_seconds_;
  prometheus::Family<prometheus::Histogram>& job_seconds_;
  prometheus::Counter& leases_expired_;
  prometheus::Family<prometheus::Gauge>& jobs_;
  prometheus::Family<prometheus::Gauge>& workers_;
  prometheus::Family<prometheus::Gauge>& base_resident_;
};

/// Serves the metrics of `probe`, and those of `others`, at http://<address>/metrics.
/// Errors: Unavailable with the address if it can't be listened on.
StatusOr<std::unique_ptr<prometheus::Exposer>> ServeMetrics(
    const std::string& address, const PrometheusProbe& probe,
    std::shared_ptr<prometheus::Collectable> others = {});

}  // namespace graft::server::app
