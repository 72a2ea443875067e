#pragma once
/// The rows of the store: jobs, their events, adapters and versions. Plain values; the only state
/// that graft must not lose.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/report/report.h"

namespace graft::tasks {
struct TaskSpec;
}

namespace graft::server::core {

/// Legal transitions (core/jobs.h makes them, each in one transaction):
///   (new)      -> VALIDATING
///   VALIDATING -> QUEUED      the data is read, checked and stored
///   VALIDATING -> FAILED      the data has a fault
///   QUEUED     -> RUNNING     a worker took the lease
///   RUNNING    -> QUEUED      the lease expired, was revoked or released; the attempt is closed
///   RUNNING    -> SUCCEEDED | FAILED | CANCELLED
///   QUEUED | RUNNING -> PAUSED;  PAUSED -> QUEUED
///   VALIDATING | QUEUED | PAUSED -> CANCELLED
enum class JobState {
  kValidating = 1,  ///< Durable; its data is being checked. No device is taken.
  kQueued = 2,      ///< Waits for a worker.
  kRunning = 3,     ///< A worker holds its lease.
  kPaused = 4,      ///< Waits for Resume; its checkpoint is kept.
  kSucceeded = 5,   ///< Its version exists.
  kFailed = 6,      ///< `error` says why.
  kCancelled = 7,
};

bool IsTerminal(JobState state);
std::string_view JobStateName(JobState state);  ///< "QUEUED"

struct JobKey {
  std::string tenant;
  std::string id;
  friend auto operator<=>(const JobKey&, const JobKey&) = default;
};

/// A failure as a value. The same as graft.v1.ErrorInfo.
struct JobError {
  StatusCode code = StatusCode::kOk;
  std::string message;
  std::vector<ErrorDetail> details;
  int64_t omitted_details = 0;
  std::string fault = {};  ///< FaultName of who caused it; empty in rows of older servers.
};

struct Attempt {
  int number = 1;
  std::string worker;
  TimeUs start_time = 0;
  TimeUs end_time = 0;  ///< 0 while it runs.
  /// One of a fixed set: COMPLETED, ERROR, RETRY, WORKER_DRAINED, WORKER_DIED, LEASE_EXPIRED,
  /// STALLED, NO_ROOM, PAUSED_BY_USER, CANCELLED_BY_USER. Empty while it runs.
  std::string end_reason;
  std::string end_message;  ///< What the worker said, if it said something.
  int64_t first_step = 0;
  int64_t last_step = 0;
  /// Of a later step than it began at. Only attempts without one count toward the attempt limit.
  bool made_checkpoint = false;
};

using report::Evaluation;
using report::JobFacts;
using report::Progress;
using report::Sample;

/// A worker's on a RUNNING job, or a server's on a VALIDATING one; no other job has one.
struct Lease {
  std::string worker;        ///< Who holds it; empty: no one.
  int64_t token = 0;         ///< Rises with every grant; kept (not reset) when the lease ends.
  TimeUs expiry = 0;         ///< 0: no lease.
  TimeUs last_progress = 0;  ///< When `activity` last rose; a lease that stalls isn't extended.
  int64_t step = 0;
  int64_t activity = 0;  ///< See LeaseReport.
  /// Its worker has told that the job has its memory: what the worker says is free is without it.
  bool holds_memory = false;
};

struct Checkpoint {
  std::string key;  ///< Object key; empty: none.
  std::string sha256;
  int64_t step = 0;
};

/// A checkpoint that became a version of the job's adapter.
struct KeptCheckpoint {
  int64_t step = 0;
  int64_t version = 0;  ///< Its number.
};

/// What of its samples a job keeps as events.
struct KeptSamples {
  int64_t bytes = 0;
  int64_t step = 0;  ///< Of the last.
  int32_t index = 0;
  bool is_thinned = false;  ///< Some were left out, and a warning told so.
};

/// What a row's request_sha256 is the hash of.
enum class RequestHashKind {
  kResolvedSpec,  ///< The spec with defaults filled in, as rows were first made: a new field moves
                  ///< it.
  kMessage,       ///< The request's own spec: what it doesn't say doesn't count.
};

inline constexpr size_t kMaxWarnings = 100;  ///< Of a job that its row keeps.

struct Job {
  JobKey key;
  std::string spec_json;      ///< common/spec's JSON form, resolved.
  std::string base, adapter;  ///< Copies for filters and routing.
  std::map<std::string, std::string> labels;
  int priority = 0;
  std::string request_id, request_sha256;
  RequestHashKind request_hash_kind = RequestHashKind::kResolvedSpec;
  JobState state = JobState::kValidating;
  JobState desired_state = JobState::kRunning;  ///< kRunning, kPaused or kCancelled.
  std::string state_reason;  ///< Of the last change of state; the same as in its event.
  TimeUs create_time = 0, queue_time = 0, start_time = 0, end_time = 0;
  TimeUs not_before = 0;  ///< If QUEUED: no worker gets it earlier. 0: at once.
  std::optional<JobError> error;
  std::vector<Attempt> attempts;
  Lease lease;
  Checkpoint checkpoint;
  Progress progress;
  std::vector<Evaluation> evaluations;  ///< The newest 100.
  KeptSamples samples;
  /// By step. The newest, and those older ones that an alias held when they should have gone; their
  /// versions may have been deleted since.
  std::vector<KeptCheckpoint> kept;
  JobFacts facts;
  std::string dataset_sha256;
  /// Of the base that the job was checked against; a run on another one is refused. Empty: unknown
  /// (made by an older server).
  std::string base_fingerprint, tokenizer;
  /// Of the call that made it, as W3C Trace Context has them; empty: that was in no trace.
  std::string traceparent, tracestate;
  std::string init_from_sha256, init_from_prefix;  ///< Version that it continues; empty: none.
  std::string version_sha256;                      ///< If SUCCEEDED.
  int64_t version_number = 0;
  std::vector<std::string> warnings;  ///< The first kMaxWarnings.
  std::string resolved_precision;
  int64_t num_events = 0;  ///< Number of the last event.
  int64_t revision = 0;    ///< Rises with every write of the row; the etag.
};

enum class EventKind {
  kStateChange,
  kProgress,
  kEvaluation,
  kCheckpoint,
  kWarning,
  kVersionCreated,
  kSample
};

struct JobEvent {
  int64_t number = 0;  ///< From 1, without gaps within a job.
  TimeUs time = 0;
  EventKind kind = EventKind::kStateChange;
  JobState from = JobState::kValidating, to = JobState::kValidating;  ///< kStateChange
  std::string reason;                                                 ///< kStateChange
  std::optional<JobError> error;  ///< kStateChange to FAILED; also of a RETRY
  Progress progress;
  Evaluation evaluation;  ///< Also of a kCheckpoint that is a version, if it has one.
  Sample sample;
  int64_t checkpoint_step = 0, checkpoint_bytes = 0;
  /// kWarning; the version's name for kVersionCreated, and for a kCheckpoint that is one.
  std::string text;
  std::string sha256;  ///< Of the version that is named.
  bool promoted = false;
};

/// What an alias points at, and what it pointed at before (for rollback).
struct Alias {
  int64_t version = 0;
  std::vector<int64_t> history;  ///< Older targets, newest last, up to 50.
};

struct Adapter {
  std::string tenant, id;
  std::string base;
  TimeUs create_time = 0;
  int64_t latest_version = 0;  ///< The last number that was given, to kept checkpoints too.
  std::map<std::string, Alias> aliases;  ///< "live", "canary", ...
  int64_t revision = 0;
};

/// Immutable once written.
struct Version {
  std::string tenant, adapter;
  int64_t number = 0;
  std::string sha256;           ///< Of all that changes an answer.
  std::string artifact_prefix;  ///< Where its files lie in the object store.
  TimeUs create_time = 0;
  std::string base, base_fingerprint;
  bool base_proved = false;
  std::string method_json;  ///< {"lora": {...}}
  std::vector<std::string> label_names;
  int max_length = 0;
  int64_t parameters = 0, bytes = 0;
  std::string job_id;                   ///< Empty if imported.
  std::string traceparent;              ///< Of the span that made it; empty: none did.
  std::string request_id;               ///< Of the import.
  std::vector<Evaluation> evaluations;  ///< Of the whole run; those at `kept_step` are its own.
  int64_t kept_step = 0;                ///< Of the state that it is; 0: unknown.
  int64_t checkpoint_step = 0;  ///< A checkpoint that job_id kept on its way; 0: its result.
  std::string description;
};

/// What the version's outputs mean. A classifier has labels, a language model none.
tasks::TaskSpec TaskOf(const Version& version);

}  // namespace graft::server::core
