#pragma once
/// How long to wait before a worker that ended is started again. Pure. Thread safety: confined to
/// one thread.

#include <chrono>

namespace graft::server::supervisor {

class RestartPolicy {
 public:
  struct Options {
    std::chrono::milliseconds first{
        100};  ///< After the first failure: one crash should cost next to nothing.
    std::chrono::milliseconds max{30'000};  ///< A worker that can't start must not fill the log.
    std::chrono::milliseconds healthy_after{
        30'000};  ///< Having run so long forgets the failures before.
  };

  RestartPolicy() = default;
  explicit RestartPolicy(Options options) : options_(options) {}

  /// Returns the wait after a run that lasted `ran` and ended on its own: doubles with each failure
  /// in a row.
  std::chrono::milliseconds OnExit(std::chrono::milliseconds ran);
  int failures() const { return failures_; }  ///< In a row.

 private:
  Options options_;
  int failures_ = 0;
};

}  // namespace graft::server::supervisor
