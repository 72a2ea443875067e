#pragma once
/// Everything that depends on the kind of device, in one place: choice, threads, numerics, memory,
/// errors.

#include <exception>
#include <string>
#include <type_traits>

#include "common/base/status.h"
#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Parses "cpu" or "cuda:N".
/// Errors: InvalidArgument for another text; FailedPrecondition if this build or machine has no
/// such device.
StatusOr<at::Device> ParseDevice(const std::string& name);

/// Fixes threads, deterministic kernels and full fp32 products for the process. Call before the
/// first operation. `threads`: of the CPU; 0 means one a core.
void ConfigureTorch(int threads);

/// Whether the CPU multiplies bf16 numbers faster than fp32: it has AMX-BF16, or is AMD's with
/// AVX512-BF16.
bool CpuHasFastBf16();

/// True if bf16 products are faster than fp32 ones here (on a GPU: sm80 and later).
bool HasFastBf16(at::Device device);

std::string DeviceName(at::Device device);
int64_t TotalMemoryBytes(at::Device device);
/// Bytes of live tensors, by the device's allocator.
int64_t UsedMemoryBytes(at::Device device);
/// Their peak since the last reset.
int64_t PeakMemoryBytes(at::Device device);
void ResetPeakMemory(at::Device device);
/// What this process's tensors could take in all, as others leave the device now: what they have,
/// and what is left. What is reserved but not written yet counts as both on the CPU.
int64_t AttainableMemoryBytes(at::Device device);
void ReleaseCachedMemory(at::Device device);
/// Returns once the device has computed what was asked of it; for clocks.
void Synchronize(at::Device device);

/// Out of memory -> ResourceExhausted, reason DEVICE_OUT_OF_MEMORY; anything else -> Internal with
/// the first 1 KiB of what happened. Its reason is DEVICE_FAILED if CUDA reports it: the process's
/// context is lost then, and every later call fails too.
Status TorchErrorToStatus(const std::exception& error);

/// The wall against exceptions: runs `body` (which returns a Status or StatusOr) and turns what it
/// throws into a Status.
template <typename Body>
auto Guarded(Body&& body) -> std::invoke_result_t<Body> {
  try {
    return body();
  } catch (const std::exception& error) {
    return TorchErrorToStatus(error);
  }
}

}  // namespace graft::worker::engine
