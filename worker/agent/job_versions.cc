/// How JobRunner makes versions of what was trained: a job's result, and the checkpoints that it
/// keeps.

#include <chrono>
#include <string>
#include <vector>

#include "common/base/failpoint.h"
#include "common/base/fault.h"
#include "common/objects/keys.h"
#include "proto/report.h"
#include "worker/agent/job_runner.h"

namespace graft::worker::agent {
namespace {

using namespace std::chrono_literals;
namespace pb = graft::internal::v1;

/// What a row keeps of a run's.
constexpr size_t kMaxEvaluations = 100;

/// Of a CompleteLeaseRequest or a KeepCheckpointRequest. `own`: the step of the version's state.
template <typename Request>
void Describe(const engine::Artifact& artifact, const std::vector<engine::Evaluation>& evaluations,
              int64_t own, const std::string& prefix, Request& request) {
  request.set_version_sha256(artifact.sha256);
  request.set_artifact_prefix(prefix);
  request.set_artifact_bytes(artifact.bytes);
  request.set_parameters(artifact.parameters);
  request.set_base_fingerprint(artifact.base_fingerprint);
  for (size_t i = 0; i < evaluations.size(); ++i) {
    // The newest, and those of the state that the version is.
    if (i + kMaxEvaluations >= evaluations.size() || evaluations[i].step == own)
      *request.add_evaluations() = proto::ToProto(evaluations[i]);
  }
  for (const std::string& label : artifact.label_names) request.add_label_names(label);
  request.set_max_length(artifact.max_length);
}

}  // namespace

void JobRunner::Succeed(const engine::TrainOutcome& outcome, pb::CompleteLeaseRequest request) {
  const engine::Artifact& artifact = outcome.artifact;
  const std::string prefix =
      objects::ArtifactPrefix(lease_.tenant(), lease_.job_id(), lease_.token());
  GRAFT_FAILPOINT("worker.before_artifact_stored");
  const auto go_on = [this] { return !lost(); };
  tracing::ActiveSpan storing = context_.tracer.StartBelow("store version", trace_);
  storing.Set("graft.step", outcome.kept_step);
  const Status stored = context_.objects->PutVersion(prefix, artifact.files, go_on);
  storing.Fail(stored);
  storing.End();
  if (!stored.ok()) {
    if (lost()) return;
    return CompleteWith(OfStore(stored));
  }
  GRAFT_FAILPOINT("worker.after_artifact_stored");
  // The worker that trained a version serves it: it is resident before anyone can ask for it.
  const StatusOr<bool> proved = Prove(artifact, "the version isn't proved and not made live");
  if (!proved.ok()) return CompleteWith(proved.status());
  request.set_unproved(!*proved);
  request.set_outcome(pb::CompleteLeaseRequest::SUCCEEDED);
  request.set_kept_step(outcome.kept_step);
  Describe(artifact, outcome.evaluations, outcome.kept_step, prefix, request);
  Complete(std::move(request));
}

StatusOr<bool> JobRunner::Prove(const engine::Artifact& artifact, const std::string& what) {
  tracing::ActiveSpan proving = context_.tracer.StartBelow("prove version", trace_);
  const StatusOr<engine::LoadResult> loaded =
      context_.engine->Load({.version = artifact.sha256,
                             .base = base_,
                             .base_fingerprint = artifact.base_fingerprint,
                             .files = artifact.files,
                             .prove = true});
  proving.Fail(loaded.status());
  proving.End();
  if (loaded.ok()) return true;
  const bool no_room = engine::IsRefusedForMemory(loaded.status());
  if (!no_room && (IsWorthRetrying(loaded.status()) || !BaseIsAnother(artifact.base_fingerprint)))
    return loaded.status();
  // What was trained is whole, and good on the base that it was trained on.
  const std::string why = no_room
                              ? "there was no memory left to load what was trained"
                              : "the base's files were changed or taken away while the job trained";
  const std::lock_guard lock(mutex_);
  report_.add_events()->set_warning(why + ", so " + what + ": " + loaded.status().message());
  return false;
}

Status JobRunner::Keep(const engine::KeptCheckpoint& kept) {
  const engine::Artifact& artifact = kept.artifact;
  const std::string prefix =
      objects::KeptPrefix(lease_.tenant(), lease_.job_id(), lease_.token(), kept.step);
  GRAFT_FAILPOINT("worker.before_kept_stored");
  const auto go_on = [this] { return !lost(); };
  tracing::ActiveSpan storing = context_.tracer.StartBelow("store version", trace_);
  storing.Set("graft.step", kept.step);
  const Status stored =
      Patiently([&] { return context_.objects->PutVersion(prefix, artifact.files, go_on); });
  storing.Fail(stored);
  storing.End();
  if (!stored.ok()) return OfStore(stored);
  GRAFT_FAILPOINT("worker.after_kept_stored");
  const bool was_resident = context_.engine->IsResident(artifact.sha256);
  GRAFT_RETURN_IF_ERROR(
      Prove(artifact, "the version of step " + std::to_string(kept.step) + " isn't proved")
          .status());
  // Few are ever asked for; the first request loads it.
  if (!was_resident) context_.engine->Unload(artifact.sha256);
  pb::KeepCheckpointRequest request;
  request.set_worker_id(context_.worker_id);
  request.set_tenant(lease_.tenant());
  request.set_job_id(lease_.job_id());
  request.set_token(lease_.token());
  request.set_step(kept.step);
  Describe(artifact, kept.evaluations, kept.step, prefix, request);
  const Status told = Patiently([&] {
    return context_.server
        ->Call(&ServerLink::Coordinator::Stub::KeepCheckpoint, request, 10s, trace_)
        .status();
  });
  if (told.code() == StatusCode::kAborted) SetLost();
  return told;
}

bool JobRunner::BaseIsAnother(const std::string& fingerprint) const {
  const StatusOr<std::string> now = context_.engine->BaseFingerprint(base_);
  return !now.ok() || *now != fingerprint;
}

}  // namespace graft::worker::agent
