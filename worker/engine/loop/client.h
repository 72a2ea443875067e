#pragma once
/// Who computes on the engine's thread. Adding one: a class that derives from one of these, and a
/// line where the engine makes its loop.

#include <cstdint>
#include <functional>

#include "common/base/status.h"

namespace graft::worker::engine {

/// Called between two layers of a pass; may run other passes, never while a graph is being built or
/// consumed.
using Yield = std::function<void()>;

class Client {
 public:
  virtual ~Client() = default;
  /// True if it has no work. Thread-safe.
  virtual bool idle() const = 0;
  /// Answers whatever comes from now on with `status`. Thread-safe.
  virtual void Close(const Status& status) = 0;
  /// Answers all that it has with `status`. Engine's thread; closed before.
  virtual void FailAll(const Status& status) = 0;
};

/// Work that somebody waits for. It has turns between two layers of background work.
class ForegroundClient : public Client {
 public:
  /// Rows that wait now, when what nobody waits for any more has left. Engine's thread, as Turn.
  virtual int64_t WaitingRows() = 0;
  /// Computes `most` rows at most, but one piece of work at least. Returns how many; 0 if nothing
  /// waits. `between_layers` is called where that takes long.
  virtual int64_t Turn(int64_t most, const Yield& between_layers) = 0;
};

/// Work that takes turns with its like and yields to the foreground.
class BackgroundClient : public Client {
 public:
  /// One turn, if there is work. Engine's thread.
  virtual void Turn(const Yield& yield) = 0;
};

}  // namespace graft::worker::engine
