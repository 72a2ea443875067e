#pragma once
/// One lease's life on this worker: fetch its data, train, store checkpoints and the artifact, and
/// say how it ended. Every write carries the lease's token; once the server answers that the token
/// is old, nothing more is written.

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/tracing/tracer.h"
#include "graft/internal/v1/coordinator.pb.h"
#include "worker/agent/objects.h"
#include "worker/agent/server_link.h"
#include "worker/engine/engine.h"

namespace graft::worker::agent {

/// Thread safety: thread-safe. Owns a thread of its own; the engine's thread only hands over to it.
class JobRunner {
 public:
  struct Context {
    std::string worker_id;
    engine::Engine* engine = nullptr;
    std::shared_ptr<ServerLink> server;
    std::shared_ptr<Objects> objects;
    std::function<void()>
        on_change;  ///< There is something to report; may be called from any thread.
    /// Of checkpoints to be kept that wait for a slow store. Beyond it those are dropped that newer
    /// ones would take the place of anyway.
    int64_t max_waiting_bytes = int64_t{256} << 20;
    tracing::Tracer tracer = {};
  };

  JobRunner(Context context, graft::internal::v1::Lease lease);
  /// Requires: done().
  ~JobRunner();

  const graft::internal::v1::Lease& lease() const { return lease_; }
  /// True once the lease is completed, lost, or given up.
  bool done() const;
  /// What ended the job without a result; OK if nothing did. Its FaultOf says who caused it.
  /// Settled once done().
  Status failure() const;

  /// Moves out what is new since the last call. The lease's end waits until it is known what became
  /// of it: Arrived, or PutBack if it didn't, so that it comes with the next.
  graft::internal::v1::LeaseStatus TakeReport();
  void Arrived();
  void PutBack(graft::internal::v1::LeaseStatus report);
  /// The server's verdict: what the job shall do.
  void SetDesired(graft::v1::JobState desired);
  /// The lease is another's now: stop, write nothing more.
  void SetLost();
  /// The worker drains: checkpoint and give the lease back.
  void Release();

 private:
  class Observer;

  void Run();
  /// Everything from the data to the lease's end. What it throws is a failure like any other.
  void RunToEnd();
  Status Start();
  Status StartFrom(engine::TrainRequest request);
  void Finish(StatusOr<engine::TrainOutcome> outcome);
  /// Stores what was trained, proves it, and ends the lease with it.
  void Succeed(const engine::TrainOutcome& outcome,
               graft::internal::v1::CompleteLeaseRequest request);
  /// Blocks until everything handed over is stored; the outcome comes behind the checkpoints.
  StatusOr<engine::TrainOutcome> AwaitOutcome();
  /// True if the job's base has another fingerprint by now, or can't be read.
  bool BaseIsAnother(const std::string& fingerprint) const;
  /// Loads what was stored from its bytes and proves it; false, with a warning that `what` isn't
  /// proved, if its base is another one by now or there is no room for it.
  StatusOr<bool> Prove(const engine::Artifact& artifact, const std::string& what);
  /// Stores a checkpoint as a version's files, proves it, and has the server make it one.
  Status Keep(const engine::KeptCheckpoint& kept);
  /// Ends the training without another checkpoint; waits for that and returns `failure`.
  StatusOr<engine::TrainOutcome> GiveUp(const Status& failure);
  /// Repeats a call while the server is away, its disk is full or it doesn't answer, for a while:
  /// as long as the lease may still be ours, what was trained isn't thrown away.
  Status Patiently(const std::function<Status()>& call);
  void CompleteWith(const Status& failure);
  void Complete(graft::internal::v1::CompleteLeaseRequest request);
  void StoreCheckpoint(int64_t step, const std::string& bytes);
  void DropSuperseded();  ///< See Context::max_waiting_bytes. Requires: mutex_.
  bool lost() const;
  engine::DesiredState desired() const;
  /// For what is read before the engine trains: false once the job isn't to run any more.
  bool ShallStart();
  graft::internal::v1::LeaseStatus MoveReport();  ///< Requires: mutex_.

  const Context context_;
  const graft::internal::v1::Lease lease_;
  const tracing::SpanContext trace_;  ///< The lease's.
  std::string base_;                  ///< Of the spec; the runner's thread only.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  engine::DesiredState desired_ = engine::DesiredState::kRun;
  bool lost_ = false;
  bool done_ = false;
  Status failure_;
  int64_t needed_bytes_ = 0;                 ///< Of the device's memory; 0: not known yet.
  graft::internal::v1::LeaseStatus report_;  ///< Not yet sent.
  bool under_way_ = false;                   ///< A report was taken, its fate isn't known.
  /// A checkpoint, either to resume from or to be kept as a version. In order of their steps: one
  /// to resume from counts only when those to be kept in front of it are safe.
  struct ToStore {
    int64_t step = 0;
    std::shared_ptr<const std::string> checkpoint;
    std::shared_ptr<const engine::KeptCheckpoint> kept;
  };
  std::deque<ToStore> to_store_;
  int64_t most_kept_ = 0;  ///< Of the spec; set before the engine trains.
  std::optional<StatusOr<engine::TrainOutcome>> outcome_;
  std::thread thread_;
};

}  // namespace graft::worker::agent
