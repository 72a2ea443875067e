#pragma once
/// Sends spans in batches, on a thread of its own. What can't be sent is dropped and counted:
/// tracing never holds up what it looks at.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/otlp/otlp_json.h"
#include "common/otlp/settings.h"
#include "common/otlp/transport.h"
#include "common/tracing/tracer.h"

namespace graft::otlp {

/// Thread safety: thread-safe; Stop from one thread.
class Exporter final : public tracing::SpanSink {
 public:
  struct Options {
    size_t max_queue = 2048;
    size_t max_batch = 512;
    std::chrono::milliseconds delay{5'000};
    std::chrono::milliseconds patience{30'000};  ///< How long one batch is tried; 0: no limit.
    std::chrono::milliseconds first_pause{
        1'000};  ///< Before a batch is tried again; then twice it.
    std::chrono::milliseconds warn_every{60'000};  ///< At most one warning in that time.
  };
  Exporter(Options options, Resource resource, std::unique_ptr<Transport> transport);
  ~Exporter() override { Stop(std::chrono::milliseconds(0)); }
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  /// Drops it if the queue is full, or Stop was called.
  void Take(tracing::Span span) override;
  /// Sends what waits, each batch once, for as long as `at_most`; drops the rest. Idempotent.
  void Stop(std::chrono::milliseconds at_most);

  struct Counts {
    int64_t sent = 0, dropped = 0;
  };
  Counts counts() const;

 private:
  using Clock = std::chrono::steady_clock;

  void Run();
  /// The next batch, once it is time for it; empty at the end.
  std::vector<tracing::Span> Next();
  /// Until it arrived, was refused for good or took too long.
  void Send(const std::vector<tracing::Span>& batch);
  /// Waits before another try; false if there is to be none.
  bool Pause(std::chrono::milliseconds pause, Clock::time_point give_up);
  /// Between half and one and a half of it, so that many don't come back at once.
  std::chrono::milliseconds Jittered(std::chrono::milliseconds pause);
  /// Until then, or Stop's time.
  std::chrono::milliseconds Left(Clock::time_point give_up) const;
  /// `answer` is a success's.
  void Arrived(size_t spans, const std::string& answer);
  /// False once Stop's time is up.
  bool GoOn() const;
  void Drop(size_t spans, const std::string& why);
  /// Tells of what was dropped because the queue was full.
  void TellOverflow();
  /// At most so often. `spans` of them were dropped.
  void Warn(int64_t spans, const std::string& why);

  const Options options_;
  const Resource resource_;
  const std::unique_ptr<Transport> transport_;  ///< The thread's.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<tracing::Span> waiting_;
  std::optional<Clock::time_point> stop_by_;  ///< Set by Stop.
  Counts counts_;
  int64_t overflown_ = 0;  ///< Of the dropped: not told of yet.
  std::optional<Clock::time_point> last_warning_;
  std::minstd_rand random_{std::random_device()()};  ///< The thread's.
  std::thread thread_;
};

}  // namespace graft::otlp
