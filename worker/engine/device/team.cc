#include "worker/engine/device/team.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>

#include "common/base/guard.h"

namespace graft::worker::engine::cpu {
namespace {

using Chunk = void (*)(void*, int64_t, int64_t);

/// Helpers look for work so long before they sleep: longer than what lies between two jobs of a
/// pass.
constexpr std::chrono::microseconds kAwake{100};
/// The caller looks so often whether the last chunks are done before it lets others run.
constexpr int kPatience = 2000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// A job in one word, so that a chunk is claimed of the job that was looked at or not at all:
/// number (24 bits) | chunks (20) | chunks that were taken (20).
struct JobWord {
  static constexpr uint64_t kMask = (1U << 20) - 1;
  uint64_t bits;
  uint64_t number() const { return bits >> 40; }
  uint64_t chunks() const { return bits >> 20 & kMask; }
  uint64_t taken() const { return bits & kMask; }
};

/// Lives as long as the process.
class Team {
 public:
  explicit Team(int helpers) {
    for (int i = 1; i <= helpers; ++i)
      threads_.push_back(StartThread([this, i] { Help(i); }, [](const Status&) { std::abort(); }));
  }
  ~Team() {
    stopping_ = true;
    word_.fetch_add(uint64_t{1} << 40);
    word_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  int64_t size() const { return static_cast<int64_t>(threads_.size()) + 1; }

  /// Requires: one caller at a time.
  void Run(int64_t count, Chunk chunk, void* context) {
    chunk_.store(chunk, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    const JobWord last{word_.load(std::memory_order_relaxed)};
    word_.store((last.number() + 1) << 40 | static_cast<uint64_t>(count) << 20);
    if (asleep_.load() > 0) word_.notify_all();
    while (TakeOne(0)) {
    }
    for (int looks = 0; done_.load(std::memory_order_acquire) < count; ++looks) {
      if (looks < kPatience) {
        Pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  /// Claims and runs a chunk, as the caller (0) or a helper; false if none is left.
  bool TakeOne(int64_t thread) {
    uint64_t seen = word_.load(std::memory_order_acquire);
    for (;;) {
      const JobWord job{seen};
      if (job.taken() >= job.chunks()) return false;
      // Those of this job if the claim succeeds: a job isn't over before its chunks are.
      const Chunk chunk = chunk_.load(std::memory_order_relaxed);
      void* const context = context_.load(std::memory_order_relaxed);
      if (!word_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) continue;
      chunk(context, static_cast<int64_t>(job.taken()), thread);
      done_.fetch_add(1, std::memory_order_release);
      return true;
    }
  }

  void Help(int64_t thread) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point until = Clock::now() + kAwake;
    for (int looks = 0; !stopping_; ++looks) {
      if (TakeOne(thread)) {
        until = Clock::now() + kAwake;
        continue;
      }
      Pause();
      if (looks % 64 != 0 || Clock::now() < until) continue;
      ++asleep_;
      const uint64_t seen = word_.load();
      const JobWord job{seen};
      if (job.taken() >= job.chunks() && !stopping_) word_.wait(seen);
      --asleep_;
      until = Clock::now() + kAwake;
    }
  }

  std::atomic<uint64_t> word_{0};
  std::atomic<Chunk> chunk_{nullptr};
  std::atomic<void*> context_{nullptr};
  alignas(64) std::atomic<int64_t> done_{0};
  alignas(64) std::atomic<int> asleep_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

Team& TheTeam() {
  static Team team(at::get_num_threads() - 1);
  return team;
}

}  // namespace

int64_t MostThreads() { return TheTeam().size(); }

void RunChunks(int64_t count, Chunk chunk, void* context) {
  static std::atomic_flag is_busy;
  Team& team = TheTeam();
  if (count > 1 && at::get_num_threads() > 1 && !is_busy.test_and_set(std::memory_order_acquire)) {
    team.Run(count, chunk, context);
    is_busy.clear(std::memory_order_release);
    return;
  }
  for (int64_t i = 0; i < count; ++i) chunk(context, i, 0);
}

}  // namespace graft::worker::engine::cpu
