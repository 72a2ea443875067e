#pragma once
/// Shares a few processors among many pieces of long work: each works for a slice of time, then
/// gives way to those that wait, first come, first served. So what is short ends soon, however long
/// the work is that began before it.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace graft::server::intake {

/// Thread safety: thread-safe.
class Turns {
 public:
  /// At most `at_once` pieces work at a time.
  explicit Turns(int at_once, std::chrono::milliseconds slice = std::chrono::milliseconds(50));

  /// A piece of work's turn; waits for it. Lives on one thread, which holds no other.
  class Turn {
   public:
    explicit Turn(Turns& turns);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    /// For between two steps of the work: once its slice is over and others wait, returns only
    /// when it is this one's turn again.
    void GiveWay();

   private:
    Turns& turns_;
    std::chrono::steady_clock::time_point began_;
  };

 private:
  void Wait(std::unique_lock<std::mutex>& lock);  ///< Until there is a place and none was before.
  void Leave();

  const std::chrono::milliseconds slice_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int free_;
  std::deque<uint64_t> waiting_;
  uint64_t next_ = 0;
};

}  // namespace graft::server::intake
