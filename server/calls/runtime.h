#pragma once
/// The server's threads: one for all of its state (caches, timers, streams), a few for disk and CPU
/// work. A protocol's own threads only hand over to these.

#include <atomic>
#include <memory>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

namespace graft::server::calls {

/// Thread safety: thread-safe until Stop.
class Runtime {
 public:
  struct Options {
    int disk_threads = 2;
    /// More than work at once: they take turns (intake/turns.h). What comes beyond them waits for
    /// one to end.
    int intake_threads = 16;
    int base_threads = 2;
  };
  Runtime() : Runtime(Options{}) {}
  explicit Runtime(Options options);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// What runs here runs one at a time: no locks needed, nothing may block.
  boost::asio::io_context& io() { return io_; }
  /// For what blocks shortly: object stores, folders.
  boost::asio::thread_pool& disk() { return disk_; }
  /// For what takes seconds: reading and checking data sets.
  boost::asio::thread_pool& intake() { return intake_; }
  /// For what takes minutes: hashing the weights of bases.
  boost::asio::thread_pool& bases() { return bases_; }
  bool OnIoThread() const { return std::this_thread::get_id() == thread_.get_id(); }

  /// Lets posted work finish and joins; of what takes long only that which has begun (see await.h).
  /// Idempotent. Requires: nothing waits on a timer any more; not on the io thread.
  void Stop();
  bool stopping() const { return stopping_; }

 private:
  boost::asio::io_context io_{1};
  boost::asio::thread_pool disk_;
  boost::asio::thread_pool intake_;
  boost::asio::thread_pool bases_;
  std::atomic<bool> stopping_ = false;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::thread thread_;
};

}  // namespace graft::server::calls
