#pragma once
/// A long list of texts goes to the server as several requests, each of which is answered well
/// within its deadline.

#include <chrono>
#include <cstddef>
#include <functional>

#include "client/cli/context.h"
#include "client/cli/text_inputs.h"

namespace graft::cli {

/// How much a request holds: first little, then what is answered within some two seconds as the
/// answers before were.
class Portions {
 public:
  /// `timeout`: what a call may take.
  explicit Portions(std::chrono::milliseconds timeout);

  /// Where the request ends that begins with `begin`; it holds one text at least.
  size_t End(const TextInputs& inputs, size_t begin) const;
  /// Tells what the request took that held [begin, end).
  void Answered(const TextInputs& inputs, size_t begin, size_t end,
                std::chrono::duration<double> took);
  /// Tells that a request wasn't answered in time. True if its texts may be sent again in smaller
  /// ones: it held several, and the server has answered before.
  bool TimedOut(const TextInputs& inputs, size_t begin, size_t end);

 private:
  static double CostOf(const TextInputs& inputs, size_t begin, size_t end);

  const double target_;  ///< Seconds.
  double most_;          ///< What a request costs at most.
  double limit_;         ///< What it may grow to.
  bool answered_ = false;
};

/// Sends all inputs, in their order: `ask` makes the call for [begin, end), `print` shows its
/// answer. On a terminal a list of several requests shows how far it is. Returns the exit code.
int SendInPortions(Context& context, const TextInputs& inputs,
                   const std::function<Status(size_t begin, size_t end)>& ask,
                   const std::function<void(size_t begin)>& print);

}  // namespace graft::cli
