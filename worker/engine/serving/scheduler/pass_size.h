#pragma once
/// How many tokens a pass over one base may hold so that it takes at most a given time on the
/// device at hand; learnt from the passes that ran.

#include <cstdint>

namespace graft::worker::engine {

/// Thread safety: none; a value of the scheduler's.
class PassSize {
 public:
  struct Limits {
    double seconds = 0.05;  ///< What a pass may take.
    int64_t first = 256;    ///< Tokens, before any pass ran.
    /// Of fewer, what each pass costs by itself, such as reading all weights, is too large a part.
    int64_t least = 128;
    int64_t most = 4096;  ///< For its memory.
  };

  explicit PassSize(const Limits& limits)
      : limits_(limits), tokens_(static_cast<double>(limits.first)) {}

  /// In [least, most].
  int64_t tokens() const { return static_cast<int64_t>(tokens_); }
  /// An upper estimate of the time that a pass of `tokens` takes.
  double Seconds(int64_t tokens) const {
    return limits_.seconds * static_cast<double>(tokens) / tokens_;
  }
  /// Learns from a pass. The estimate moves half way (as a ratio) towards what the pass shows, by a
  /// factor of 4 at most, so that one pass that was delayed by other work doesn't decide. A pass of
  /// less than half the estimate may raise it, but its fixed costs say little of longer ones: it
  /// lowers the estimate only if it took too long itself, to half at most and not below `first`.
  void Ran(int64_t tokens, double seconds);

 private:
  Limits limits_;
  double tokens_;
};

}  // namespace graft::worker::engine
