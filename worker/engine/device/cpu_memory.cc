#include "worker/engine/device/cpu_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

namespace graft::worker::engine {
namespace {

constexpr size_t kAlignment = 64;         // A cache line, and the widest vector load.
constexpr size_t kLargeBytes = 1 << 20;   // From here on blocks are kept.
constexpr size_t kPageBytes = 2 << 20;    // Large blocks are whole huge pages.
constexpr size_t kSlackBytes = 64 << 20;  // Kept whatever the peak is.

/// In front of each block; the data begin kAlignment bytes after it.
struct Header {
  size_t requested;
  size_t size;  ///< Of the whole block.
};
static_assert(sizeof(Header) <= kAlignment);

Header* HeaderOf(void* data) {
  return reinterpret_cast<Header*>(static_cast<char*>(data) - kAlignment);
}

class CachingAllocator : public c10::Allocator {
 public:
  static CachingAllocator& Get() {
    static auto* allocator = new CachingAllocator();  // Tensors may outlive static objects.
    return *allocator;
  }

  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : Take(bytes);
    return {data, data, &Delete, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Delete; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

  CpuMemoryFigures figures() {
    const std::lock_guard lock(mutex_);
    return {static_cast<int64_t>(used_), static_cast<int64_t>(peak_),
            static_cast<int64_t>(cached_)};
  }
  void ResetPeak() {
    const std::lock_guard lock(mutex_);
    peak_ = used_;
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    ReleaseUntil(0);
  }
  void Limit(size_t bytes) {
    const std::lock_guard lock(mutex_);
    most_ = bytes;
  }

 private:
  static void Delete(void* data) {
    if (data != nullptr) Get().Give(HeaderOf(data));
  }

  void* Take(size_t bytes) {
    const bool large = bytes >= kLargeBytes;
    const size_t unit = large ? kPageBytes : kAlignment;
    const size_t size = (bytes + kAlignment + unit - 1) / unit * unit;
    Header* block = large ? TakeCached(size, bytes) : nullptr;
    if (block == nullptr) block = FromSystem(size, large);
    if (block == nullptr) {
      Release();
      block = FromSystem(size, large);
    }
    const std::lock_guard lock(mutex_);
    TORCH_CHECK_WITH(OutOfMemoryError, block != nullptr, "the CPU has no ", bytes, " bytes left; ",
                     used_, " are in use");
    used_ += bytes;
    peak_ = std::max(peak_, used_);
    block->requested = bytes;
    return reinterpret_cast<char*>(block) + kAlignment;
  }

  /// A kept block for `size`, or null; then makes room for a new one within the bound on what is
  /// kept.
  Header* TakeCached(size_t size, size_t bytes) {
    const std::lock_guard lock(mutex_);
    // Batches of packed rows differ in size from step to step, so a fit may be loose.
    const auto fit = free_.lower_bound(size);
    if (fit != free_.end() && fit->first <= 2 * size) {
      Header* block = fit->second;
      cached_ -= fit->first;
      free_.erase(fit);
      return block;
    }
    const size_t used = used_ + bytes;
    const size_t peak = std::max(peak_, used);
    const size_t bound = std::min(peak + peak / 2 + kSlackBytes, most_);
    ReleaseUntil(bound > used ? bound - used : 0);
    return nullptr;
  }

  static Header* FromSystem(size_t size, bool large) {
    void* memory = std::aligned_alloc(large ? kPageBytes : kAlignment, size);
    if (memory == nullptr) return nullptr;
    if (large) ::madvise(memory, size, MADV_HUGEPAGE);  // Only a hint.
    auto* block = static_cast<Header*>(memory);
    block->size = size;
    return block;
  }

  void Give(Header* block) {
    const bool large = block->requested >= kLargeBytes;
    {
      const std::lock_guard lock(mutex_);
      used_ -= block->requested;
      if (large) {
        free_.emplace(block->size, block);
        cached_ += block->size;
      }
    }
    if (!large) std::free(block);
  }

  /// Frees the largest blocks first until at most `bytes` are cached. Requires: the lock is held.
  void ReleaseUntil(size_t bytes) {
    while (cached_ > bytes) {
      const auto last = std::prev(free_.end());
      cached_ -= last->first;
      std::free(last->second);
      free_.erase(last);
    }
  }

  std::mutex mutex_;
  std::multimap<size_t, Header*> free_;
  size_t used_ = 0, peak_ = 0, cached_ = 0;
  size_t most_ = SIZE_MAX;  ///< Used and cached, as far as what is cached can do for it.
};

}  // namespace

void InstallCpuAllocator() {
  static const bool installed =
      (c10::SetCPUAllocator(&CachingAllocator::Get(), /*priority=*/1), true);
  (void)installed;
}

CpuMemoryFigures GetCpuMemoryFigures() { return CachingAllocator::Get().figures(); }
void ResetPeakCpuMemory() { CachingAllocator::Get().ResetPeak(); }
void LimitCpuMemory(int64_t bytes) { CachingAllocator::Get().Limit(static_cast<size_t>(bytes)); }
void ReleaseCachedCpuMemory() { CachingAllocator::Get().Release(); }

}  // namespace graft::worker::engine
