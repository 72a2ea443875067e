#pragma once
/// libtorch's CPU allocator, replaced by one that keeps large blocks for the next step. The default
/// returns each to the system, which clears and maps the same pages again at every step, and it has
/// no counters.

#include <cstddef>
#include <cstdint>

namespace graft::worker::engine {

struct CpuMemoryFigures {
  int64_t used_bytes = 0;  ///< Of live tensors.
  int64_t peak_bytes = 0;  ///< Highest `used_bytes` since the last ResetPeakCpuMemory.
  int64_t cached_bytes =
      0;  ///< Kept for reuse; with `used_bytes` at most about 1.5 times the peak.
};

/// Makes libtorch use the allocator from now on, in the whole process. Call before the first tensor
/// is made; more calls do nothing. Running out of memory throws c10::OutOfMemoryError. Thread
/// safety: all functions are thread-safe.
void InstallCpuAllocator();

CpuMemoryFigures GetCpuMemoryFigures();
void ResetPeakCpuMemory();
/// Keeps no more for reuse than `bytes` hold beside live tensors.
void LimitCpuMemory(int64_t bytes);
/// Gives what is cached back to the system.
void ReleaseCachedCpuMemory();

}  // namespace graft::worker::engine
