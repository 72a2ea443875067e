#pragma once
/// Keeps what calls ended with, and why some were refused. Thread safety: thread-safe.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/calls/probe.h"

namespace graft::server {

class RecordingProbe : public calls::Probe {
 public:
  struct Ended {
    calls::Protocol protocol;
    std::string rpc;
    StatusCode code;
  };
  void CallFinished(calls::Protocol protocol, std::string_view rpc, StatusCode code,
                    double) override {
    const std::lock_guard lock(mutex_);
    ended_.push_back({protocol, std::string(rpc), code});
    changed_.notify_all();
  }
  void InferenceRejected(std::string_view reason) override {
    const std::lock_guard lock(mutex_);
    rejected_.emplace_back(reason);
  }
  std::vector<std::string> rejected() {
    const std::lock_guard lock(mutex_);
    return rejected_;
  }
  /// Waits until `n` calls have ended and returns them.
  std::vector<Ended> WaitForEnded(size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return ended_.size() >= n; });
    return ended_;
  }
  std::vector<StatusCode> codes() {
    const std::lock_guard lock(mutex_);
    std::vector<StatusCode> codes;
    for (const Ended& call : ended_) codes.push_back(call.code);
    return codes;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Ended> ended_;
  std::vector<std::string> rejected_;
};

}  // namespace graft::server
