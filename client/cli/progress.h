#pragma once
/// How far a command has come, as a line that is drawn over itself on a terminal.

#include <chrono>
#include <cstddef>
#include <string>

#include "client/cli/context.h"

namespace graft::cli {

/// 75 -> "1m15s"
std::string Duration(double seconds);

/// "[======                  ] " of a share in [0, 1].
std::string Bar(double share);

/// "[======                  ] 64/256 texts  9s left" on standard error, if that is a terminal and
/// --json wasn't given; else nothing. Take it away before anything else is printed; the destructor
/// does too.
class TextProgress {
 public:
  TextProgress(Context& context, size_t total) : context_(context), total_(total) {}
  TextProgress(const TextProgress&) = delete;
  ~TextProgress() { Clear(); }

  void Draw(size_t done);
  void Clear();

 private:
  using SteadyClock = std::chrono::steady_clock;

  Context& context_;
  const size_t total_;
  const SteadyClock::time_point begin_ = SteadyClock::now();
  bool drawn_ = false;
};

}  // namespace graft::cli
