#include "server/background/job_probe.h"

#include "common/base/json.h"

namespace graft::server::background {
namespace {

double Seconds(TimeUs from, TimeUs to) { return static_cast<double>(to - from) / 1e6; }

}  // namespace

std::string MethodName(const std::string& spec_json) {
  const StatusOr<Json> spec = ParseJson(spec_json, "the job's spec");
  if (!spec.ok() || !spec->is_object()) return "unknown";
  const auto method = spec->find("method");
  if (method == spec->end() || !method->is_object() || method->empty()) return "unknown";
  return method->begin().key();
}

void NoteTransition(calls::Probe& probe, const core::Job& job) {
  probe.JobTransition(job.state, job.state_reason);
  if (job.state == core::JobState::kRunning && !job.attempts.empty()) {
    probe.JobStarted(Seconds(job.queue_time, job.attempts.back().start_time));
  }
  if (core::IsTerminal(job.state) && job.start_time != 0) {
    probe.JobEnded(MethodName(job.spec_json), Seconds(job.start_time, job.end_time));
  }
}

}  // namespace graft::server::background
