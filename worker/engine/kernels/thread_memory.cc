#include "worker/engine/kernels/thread_memory.h"

#include <cstddef>
#include <memory>
#include <new>

namespace graft::worker::engine::cpu {

void* ThreadMemory(int64_t bytes) {
  constexpr std::align_val_t kAlign{64};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete[](memory, kAlign); }
  };
  thread_local std::unique_ptr<std::byte[], Free> memory;
  thread_local int64_t size = 0;
  if (size < bytes) {
    memory.reset();
    size = 0;
    memory.reset(new (kAlign) std::byte[static_cast<size_t>(bytes)]);
    size = bytes;
  }
  return memory.get();
}

}  // namespace graft::worker::engine::cpu
