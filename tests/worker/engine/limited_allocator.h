#pragma once
/// An allocator in front of graft's own that refuses what is larger than a limit, as a full device
/// does, and notes how large requests are.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include "worker/engine/device/cpu_memory.h"

namespace graft::worker::engine::testing {

/// Thread safety: thread-safe.
class LimitedAllocator : public c10::Allocator {
 public:
  /// Stays in front of graft's allocator from the first call on; without a limit it only passes on.
  static LimitedAllocator& Install() {
    InstallCpuAllocator();
    static auto* allocator = new LimitedAllocator(c10::GetCPUAllocator());
    c10::SetCPUAllocator(allocator, /*priority=*/2);
    return *allocator;
  }

  c10::DataPtr allocate(size_t bytes) override {
    size_t largest = largest_;
    while (bytes > largest && !largest_.compare_exchange_weak(largest, bytes)) {
    }
    const bool fits = bytes <= limit_ && left_-- != 1;
    TORCH_CHECK_WITH(OutOfMemoryError, fits, "the test's limit is reached");
    return behind_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return behind_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    behind_->copy_data(to, from, bytes);
  }

  /// Largest request since the last call.
  size_t TakeLargest() { return largest_.exchange(0); }
  /// Refuses one request: the `n`th from now on. Returns how many were left of the last such
  /// number.
  int64_t FailAt(int64_t n) { return left_.exchange(n); }
  void Limit(size_t bytes) { limit_ = bytes; }
  void Unlimit() { limit_ = SIZE_MAX; }

 private:
  explicit LimitedAllocator(c10::Allocator* behind) : behind_(behind) {}

  c10::Allocator* const behind_;
  std::atomic<int64_t> left_{0};
  std::atomic<size_t> limit_{SIZE_MAX}, largest_{0};
};

}  // namespace graft::worker::engine::testing
