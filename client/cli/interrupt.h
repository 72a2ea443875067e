#pragma once
/// What must be put in order before a signal ends the process.

#include <csignal>

#include <array>
#include <functional>
#include <thread>

namespace graft::cli {

/// While it lives, SIGINT, SIGTERM and SIGHUP end the process only once `tidy` has run, and then as
/// they would have: a shell sees by which. A second one of the same kind doesn't wait. Those that
/// the process was started to ignore (nohup) it goes on ignoring. The destructor doesn't return if
/// one came before it. One at a time in a process.
class TidyOnInterrupt {
 public:
  /// `tidy` runs on a thread of its own, beside whatever the others do.
  explicit TidyOnInterrupt(std::function<void()> tidy);
  TidyOnInterrupt(const TidyOnInterrupt&) = delete;
  TidyOnInterrupt& operator=(const TidyOnInterrupt&) = delete;
  ~TidyOnInterrupt();

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
  void Wait();

  const std::function<void()> tidy_;
  int ends_[2] = {-1, -1};  ///< A pipe, from the handler to the thread.
  std::array<struct sigaction, kSignals.size()> before_{};
  std::thread thread_;
};

}  // namespace graft::cli
