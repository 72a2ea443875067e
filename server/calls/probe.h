#pragma once
/// Port. What calls, and workers' book-keeping, tell the metrics; server/app's
/// PrometheusProbe exports it. Thread safety: implementations are thread-safe and quick.

#include <string>
#include <string_view>

#include "common/base/status.h"
#include "server/core/rows.h"

namespace graft::server::calls {

/// What a call came by.
enum class Protocol { kGrpc, kHttp };

class Probe {
 public:
  virtual ~Probe() = default;

  /// A call ended with `code` after `seconds`. `rpc` is "FinetuningService.CreateJob", or "none" of
  /// an HTTP request that was refused before it was a method's.
  virtual void CallFinished(Protocol protocol, std::string_view rpc, StatusCode code,
                            double seconds) {
    (void)protocol, (void)rpc, (void)code, (void)seconds;
  }
  /// Inference calls that wait for a worker, and that run on one.
  virtual void InferenceWaiting(int delta) { (void)delta; }
  virtual void InferenceRunning(int delta) { (void)delta; }
  /// `reason`: "queue_full", "no_worker", "draining".
  virtual void InferenceRejected(std::string_view reason) { (void)reason; }
  virtual void InferenceFinished(double seconds) { (void)seconds; }
  /// From a text's admission to its first token.
  virtual void FirstToken(double seconds) { (void)seconds; }
  /// Between two tokens of a sequence; `tokens` of them came so.
  virtual void InterToken(double seconds, int tokens) { (void)seconds, (void)tokens; }

  /// A job's row went from one state to another; `reason` is its event's.
  virtual void JobTransition(core::JobState to, std::string_view reason) { (void)to, (void)reason; }
  virtual void JobStarted(double queue_seconds) { (void)queue_seconds; }
  virtual void JobEnded(std::string_view method, double seconds) { (void)method, (void)seconds; }
  virtual void LeaseExpired() {}

  /// Store-wide number of jobs in a state.
  virtual void SetJobs(core::JobState state, int64_t count) { (void)state, (void)count; }
  /// `state`: "ready", "draining". A worker that is silent is forgotten.
  virtual void SetWorkers(std::string_view state, int count) { (void)state, (void)count; }
  /// Number of workers that hold `base`.
  virtual void SetBaseResident(const std::string& base, int count) { (void)base, (void)count; }
};

}  // namespace graft::server::calls
