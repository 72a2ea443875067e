#pragma once
/// Memory of a thread's own for what a kernel works on at once: kept, since taking some hundred KiB
/// from the system and giving them back costs as much as a small kernel itself.

#include <cstdint>

namespace graft::worker::engine::cpu {

/// `bytes` of it, not cleared, aligned to 64; valid until the thread's next call. As much as the
/// largest call asked for stays until the thread ends.
/// Errors: throws std::bad_alloc.
void* ThreadMemory(int64_t bytes);

}  // namespace graft::worker::engine::cpu
