#pragma once
/// Writes jobs' losses and figures into files that TensorBoard reads, from the stored events, so
/// that a restart loses none and writes none twice (see tensorboard/event_file.h).

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "server/background/backend.h"
#include "server/calls/background_task.h"
#include "server/tensorboard/event_file.h"

namespace graft::server::background {

/// Begins with all jobs that there are, then follows those that change. A disk that is full or gone
/// is told in the log, and what couldn't be written is written once it can be.
/// Thread safety: Start and Stop from one thread that isn't the io thread; JobsChanged from any.
class TensorBoard {
 public:
  struct Options {
    std::filesystem::path folder;
    std::chrono::milliseconds every{1'000};
    std::chrono::milliseconds retry{5'000};        ///< After a fault.
    std::chrono::milliseconds warn_every{60'000};  ///< At most one warning in that time.
  };
  TensorBoard(Backend& backend, Options options)
      : backend_(backend), options_(std::move(options)) {}
  ~TensorBoard() { Stop(); }

  void Start();
  /// Writes what is stored by then, unless it is still busy with the jobs that there were.
  void Stop();

  /// For Store::OnJobsChanged: so that a job is seen that ran between two looks. What another
  /// server on the same store does is found where it still runs, and else at the next start.
  void JobsChanged(const std::vector<core::JobKey>& keys);

 private:
  /// What a job has behind an event.
  struct News {
    core::Job job;
    std::vector<core::JobEvent> events;
  };
  /// A job whose file may still grow; no file: it isn't open, or was left in a fault.
  struct Followed {
    std::optional<tensorboard::EventFile> file;
    int64_t after =
        0;  ///< The last event that was looked at; its number is also the file's or past it.
  };

  calls::Awaitable<void> Loop();
  /// Follows a page of all jobs, newest first; returns the last one's id, empty at the end.
  calls::Awaitable<StatusOr<std::string>> FollowPage(std::string after_id);
  /// Follows what runs, what changed and what is left; returns the first fault.
  calls::Awaitable<Status> Round();
  /// Brings a job's file up to date.
  calls::Awaitable<Status> Follow(core::JobKey key);
  /// Opens its file; false if it needs none now.
  calls::Awaitable<StatusOr<bool>> Open(core::JobKey key);
  /// Writes the next events; false if that were the last for now.
  calls::Awaitable<StatusOr<bool>> WriteNext(core::JobKey key);
  void Warn(const Status& why);

  Backend& backend_;
  const Options options_;
  std::mutex mutex_;
  std::set<core::JobKey> changed_;  ///< Guarded by mutex_.
  bool is_caught_up_ = false;       ///< With the jobs that there were at the start.
  std::map<core::JobKey, Followed> followed_;
  std::optional<std::chrono::steady_clock::time_point> last_warning_;
  std::unique_ptr<calls::BackgroundTask> loop_;
};

}  // namespace graft::server::background
