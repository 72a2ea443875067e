#include "server/background/tensorboard.h"

#include <exception>
#include <utility>

#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include "server/tensorboard/record.h"
#include "server/tensorboard/scalars.h"

namespace graft::server::background {
namespace {

using core::Transaction;

constexpr size_t kPage = 200;
constexpr size_t kEvents = 500;

std::vector<core::JobKey> KeysOf(const std::vector<core::Job>& jobs) {
  std::vector<core::JobKey> keys;
  for (const core::Job& job : jobs) keys.push_back(job.key);
  return keys;
}

}  // namespace

void TensorBoard::Start() {
  loop_ = std::make_unique<calls::BackgroundTask>(backend_.runtime, "writing for TensorBoard",
                                                  [this] { return Loop(); });
}

void TensorBoard::Stop() {
  if (loop_ == nullptr) return;
  loop_->Stop();
  loop_.reset();
  if (!is_caught_up_) return;
  // What was begun when it stopped may be in a file, and not be known to be.
  for (auto& [key, followed] : followed_) followed = {};
  // co_spawn wants a result with a default.
  auto last = [this]() -> calls::Awaitable<void> {
    const Status status = co_await Round();
    if (!status.ok()) Warn(status);
  };
  try {
    boost::asio::co_spawn(backend_.runtime.io(), last(), boost::asio::use_future).get();
  } catch (const std::exception& error) {
    spdlog::error("the last writing for TensorBoard ended: {}", error.what());
  }
}

void TensorBoard::JobsChanged(const std::vector<core::JobKey>& keys) {
  const std::lock_guard lock(mutex_);
  changed_.insert(keys.begin(), keys.end());
}

calls::Awaitable<void> TensorBoard::Loop() {
  std::string after_id;
  while (true) {
    Status status = OkStatus();
    if (!is_caught_up_) {
      const StatusOr<std::string> last = co_await FollowPage(after_id);
      status = last.status();
      if (last.ok()) {
        after_id = *last;
        is_caught_up_ = after_id.empty();
      }
    }
    const Status round = co_await Round();
    if (status.ok()) status = round;
    if (!status.ok()) {
      Warn(status);
      co_await calls::SleepFor(options_.retry);
    } else if (is_caught_up_) {
      co_await calls::SleepFor(options_.every);
    }
  }
}

void TensorBoard::Warn(const Status& why) {
  const auto now = std::chrono::steady_clock::now();
  if (last_warning_ && now - *last_warning_ < options_.warn_every) return;
  last_warning_ = now;
  spdlog::warn("cannot write for TensorBoard now, and tries again: {}", why.message());
}

calls::Awaitable<StatusOr<std::string>> TensorBoard::FollowPage(std::string after_id) {
  core::JobQuery query;
  query.after_id = std::move(after_id);
  query.limit = kPage;
  auto list = [query](Transaction& tx) -> StatusOr<std::vector<core::JobKey>> {
    GRAFT_ASSIGN_OR_RETURN(const std::vector<core::Job> jobs, tx.ListJobs(query));
    return KeysOf(jobs);
  };
  const StatusOr<std::vector<core::JobKey>> keys =
      co_await Read(backend_.runtime, backend_.store, std::move(list));
  if (!keys.ok()) co_return keys.status();
  for (const core::JobKey& key : *keys) followed_.try_emplace(key);
  co_return keys->size() < kPage ? std::string() : keys->back().id;
}

calls::Awaitable<Status> TensorBoard::Round() {
  std::set<core::JobKey> changed;
  {
    const std::lock_guard lock(mutex_);
    changed.swap(changed_);
  }
  // Also those that another server on the same store gave out.
  auto list = [](Transaction& tx) -> StatusOr<std::vector<core::JobKey>> {
    core::JobQuery running;
    running.states = {core::JobState::kRunning};
    running.limit = kPage;
    GRAFT_ASSIGN_OR_RETURN(const std::vector<core::Job> jobs, tx.ListJobs(running));
    return KeysOf(jobs);
  };
  const StatusOr<std::vector<core::JobKey>> running =
      co_await Read(backend_.runtime, backend_.store, std::move(list));
  if (running.ok()) changed.insert(running->begin(), running->end());
  for (const core::JobKey& key : changed) followed_.try_emplace(key);
  std::vector<core::JobKey> keys;
  for (const auto& [key, followed] : followed_) keys.push_back(key);
  Status first = running.status();
  for (const core::JobKey& key : keys) {
    const Status status = co_await Follow(key);
    if (first.ok()) first = status;
  }
  co_return first;
}

calls::Awaitable<Status> TensorBoard::Follow(core::JobKey key) {
  StatusOr<bool> more = true;
  if (!followed_[key].file) more = co_await Open(key);
  while (more.ok() && *more) more = co_await WriteNext(key);
  if (more.ok()) co_return OkStatus();
  if (more.status().code() == StatusCode::kNotFound) {
    // Deleted meanwhile.
    const auto gone = [key](Transaction& tx) -> StatusOr<bool> {
      return tx.GetJob(key).status().code() == StatusCode::kNotFound;
    };
    const StatusOr<bool> is_gone = co_await Read(backend_.runtime, backend_.store, gone);
    if (is_gone.ok() && *is_gone) {
      followed_.erase(key);
      co_return OkStatus();
    }
  }
  followed_[key] = {};
  co_return more.status();
}

calls::Awaitable<StatusOr<bool>> TensorBoard::Open(core::JobKey key) {
  auto get = [key](Transaction& tx) { return tx.GetJob(key); };
  const StatusOr<core::Job> job = co_await Read(backend_.runtime, backend_.store, std::move(get));
  if (!job.ok()) co_return job.status();
  // One that never ran has nothing to show.
  bool is_needed = !job->attempts.empty();
  const std::filesystem::path path = tensorboard::FileOf(options_.folder, *job);
  if (is_needed && core::IsTerminal(job->state)) {
    auto look = [path, end = tensorboard::EndOf(*job)]() -> StatusOr<bool> {
      return tensorboard::EndsWith(path, end);
    };
    const StatusOr<bool> is_whole = co_await OnDisk(backend_.runtime, std::move(look));
    if (!is_whole.ok()) co_return is_whole.status();
    is_needed = !*is_whole;
  }
  if (!is_needed) {
    followed_.erase(key);
    co_return false;
  }
  auto open = [path, time = tensorboard::WallTime(job->create_time)] {
    return tensorboard::OpenEventFile(path, time);
  };
  StatusOr<tensorboard::EventFile> file = co_await OnDisk(backend_.runtime, std::move(open));
  if (!file.ok()) co_return file.status();
  Followed& followed = followed_[key];
  followed.after = file->last_number;
  followed.file = std::move(*file);
  co_return true;
}

calls::Awaitable<StatusOr<bool>> TensorBoard::WriteNext(core::JobKey key) {
  auto read = [key, after = followed_[key].after](Transaction& tx) -> StatusOr<News> {
    News news;
    GRAFT_ASSIGN_OR_RETURN(news.job, tx.GetJob(key));
    GRAFT_ASSIGN_OR_RETURN(news.events, tx.ListEvents(key, after, kEvents));
    return news;
  };
  const StatusOr<News> news = co_await Read(backend_.runtime, backend_.store, std::move(read));
  if (!news.ok()) co_return news.status();
  const core::Job& job = news->job;
  int64_t last = followed_[key].after, last_written = 0;
  std::string records;
  for (const core::JobEvent& event : news->events) {
    last = event.number;
    const std::optional<tensorboard::Event> shown = tensorboard::ScalarsOf(event);
    if (!shown) continue;
    last_written = event.number;
    records += tensorboard::Framed(tensorboard::Encode(*shown));
  }
  const bool is_all = last == job.num_events;
  const bool is_end = is_all && core::IsTerminal(job.state);
  if (is_end) {
    last_written = job.num_events;
    records += tensorboard::Framed(tensorboard::Encode(tensorboard::EndOf(job)));
  }
  if (!records.empty()) {
    auto append = [file = *followed_[key].file, records = std::move(records), last_written,
                   is_end]() mutable -> StatusOr<tensorboard::EventFile> {
      GRAFT_RETURN_IF_ERROR(tensorboard::Append(file, records, last_written, is_end));
      return std::move(file);
    };
    StatusOr<tensorboard::EventFile> file = co_await OnDisk(backend_.runtime, std::move(append));
    if (!file.ok()) co_return file.status();
    followed_[key].file = std::move(*file);
  }
  followed_[key].after = last;
  // One that waits again is found when it runs again.
  if (is_all && job.state != core::JobState::kRunning) followed_.erase(key);
  co_return !is_all;
}

}  // namespace graft::server::background
