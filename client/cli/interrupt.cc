#include "client/cli/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "common/base/guard.h"

namespace graft::cli {
namespace {

constexpr unsigned char kNone = 0;  // Is no signal's number.
std::atomic<int> told{-1};          // What the handler writes to.

/// A handler may do no more than that: on any thread, whatever lock it holds.
void Tell(int signal) {
  const int before = errno;
  const auto byte = static_cast<unsigned char>(signal);
  (void)!::write(told, &byte, 1);
  errno = before;
}

[[noreturn]] void EndBy(int signal) {
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(signal, &usual, nullptr);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  ::raise(signal);
  ::_exit(128 + signal);  // Not reached: each of them ends a process.
}

}  // namespace

TidyOnInterrupt::TidyOnInterrupt(std::function<void()> tidy) : tidy_(std::move(tidy)) {
  // Without a pipe signals stay what they were: it is no reason to do nothing at all.
  if (::pipe2(ends_, O_CLOEXEC) != 0) return;
  told = ends_[1];
  thread_ = StartThread([this] { Wait(); }, [](const Status&) { std::abort(); });
  struct sigaction tell {};
  tell.sa_handler = Tell;
  tell.sa_flags = SA_RESTART | SA_RESETHAND;
  sigemptyset(&tell.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &tell, nullptr);
  }
}

TidyOnInterrupt::~TidyOnInterrupt() {
  if (!thread_.joinable()) return;
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  (void)!::write(ends_[1], &kNone, 1);  // Behind what the handler may have written.
  thread_.join();
  told = -1;
  for (const int end : ends_) ::close(end);
}

void TidyOnInterrupt::Wait() {
  unsigned char signal = kNone;
  while (::read(ends_[0], &signal, 1) < 0 && errno == EINTR) {
  }
  if (signal == kNone) return;
  tidy_();
  EndBy(signal);
}

}  // namespace graft::cli
