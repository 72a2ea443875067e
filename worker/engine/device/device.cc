#include "worker/engine/device/device.h"

#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <thread>

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <c10/util/env.h>

#include "common/base/utf8.h"
#include "worker/engine/device/cpu_memory.h"

#ifdef GRAFT_WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace graft::worker::engine {
StatusOr<at::Device> ParseDevice(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  int index = 0;
  if (name.rfind("cuda:", 0) == 0 && name.size() <= 8 &&
      name.find_first_not_of("0123456789", 5) == std::string::npos && name.size() > 5) {
    index = std::stoi(name.substr(5));
  } else if (name != "cuda") {
    return InvalidArgumentError(Quoted(name) + " is no device; use cpu or cuda:N");
  }
  if (!at::globalContext().hasCUDA()) {
    return FailedPreconditionError(
        "no CUDA device: this libtorch is a CPU build, or no driver was found; use --device cpu");
  }
#ifdef GRAFT_WITH_CUDA
  if (index >= at::cuda::device_count()) {
    return FailedPreconditionError(name + ": this machine has " +
                                   std::to_string(at::cuda::device_count()) + " GPUs");
  }
#endif
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

void ConfigureTorch(int threads) {
  InstallCpuAllocator();
  // More teams than cores make every operation slower; one engine thread drives one team.
  at::set_num_threads(
      threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  // Filling every new tensor with NaN is for finding bugs; it costs a pass over memory.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setBenchmarkCuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  // cuBLAS repeats its results only with a workspace of its own, and torch warns at every product
  // without one. Read when the first handle is made; who sets it otherwise keeps it.
  c10::utils::set_env("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/false);
}

bool CpuHasFastBf16() {
#if defined(__x86_64__)
  static const bool has = [] {
    // Straight from cpuid: the compilers' queries know AMX by different names or not at all.
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    const bool amx = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 22 & 1U) != 0;
    // AMD's dot product of bf16 pairs runs at the rate of an fp32 multiply-add, twice the numbers;
    // Intel's AVX512-BF16 without AMX does no more multiplications a cycle than its fp32 units.
    return amx || (__builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx512bf16") != 0);
  }();
  return has;
#else
  return false;
#endif
}

bool HasFastBf16(at::Device device) {
  if (device.is_cpu()) return CpuHasFastBf16();
#ifdef GRAFT_WITH_CUDA
  return at::cuda::getDeviceProperties(device.index())->major >= 8;
#else
  return false;
#endif
}

std::string DeviceName(at::Device device) {
#ifdef GRAFT_WITH_CUDA
  if (device.is_cuda()) return at::cuda::getDeviceProperties(device.index())->name;
#endif
  (void)device;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "CPU";
}

int64_t TotalMemoryBytes(at::Device device) {
#ifdef GRAFT_WITH_CUDA
  if (device.is_cuda())
    return static_cast<int64_t>(at::cuda::getDeviceProperties(device.index())->totalGlobalMem);
#endif
  (void)device;
  const auto machine = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
  // A container may have less; "max", or no such file, is no limit.
  int64_t limit = 0;
  std::ifstream cgroup("/sys/fs/cgroup/memory.max");
  return cgroup >> limit && limit > 0 ? std::min(machine, limit) : machine;
}

namespace {

/// A number behind its name, as in /proc/meminfo and a cgroup's memory.stat; -1 if there is none.
int64_t ReadNumber(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name, 0) == 0) return std::strtoll(line.c_str() + name.size(), nullptr, 10);
  }
  return -1;
}

int64_t AvailableOnCpu() {
  const int64_t kibibytes = ReadNumber("/proc/meminfo", "MemAvailable:");
  int64_t available = kibibytes >= 0 ? kibibytes << 10 : INT64_MAX;
  int64_t limit = 0, used = 0;
  std::ifstream most("/sys/fs/cgroup/memory.max"), now("/sys/fs/cgroup/memory.current");
  if (!(most >> limit) || !(now >> used)) return available;
  // Pages of files leave by themselves.
  const int64_t files = ReadNumber("/sys/fs/cgroup/memory.stat", "inactive_file ");
  return std::min(available, limit - used + std::max<int64_t>(files, 0));
}

}  // namespace

int64_t AttainableMemoryBytes(at::Device device) {
#ifdef GRAFT_WITH_CUDA
  if (device.is_cuda()) {
    const auto memory = c10::cuda::CUDACachingAllocator::get()->getMemoryInfo(device.index());
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    return static_cast<int64_t>(memory.first) + stats.reserved_bytes[0].current;
  }
#endif
  (void)device;
  const int64_t available = AvailableOnCpu();
  if (available == INT64_MAX) return available;
  const CpuMemoryFigures own = GetCpuMemoryFigures();
  return available + own.used_bytes + own.cached_bytes;
}

int64_t UsedMemoryBytes(at::Device device) {
#ifdef GRAFT_WITH_CUDA
  if (device.is_cuda()) {
    return c10::cuda::CUDACachingAllocator::getDeviceStats(device.index())
        .allocated_bytes[0]
        .current;
  }
#endif
  (void)device;
  return GetCpuMemoryFigures().used_bytes;
}

int64_t PeakMemoryBytes(at::Device device) {
#ifdef GRAFT_WITH_CUDA
  if (device.is_cuda()) {
    return c10::cuda::CUDACachingAllocator::getDeviceStats(device.index()).allocated_bytes[0].peak;
  }
#endif
  (void)device;
  return GetCpuMemoryFigures().peak_bytes;
}

void ResetPeakMemory(at::Device device) {
#ifdef GRAFT_WITH_CUDA
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
#endif
  if (device.is_cpu()) ResetPeakCpuMemory();
}

void ReleaseCachedMemory(at::Device device) {
#ifdef GRAFT_WITH_CUDA
  if (device.is_cuda()) {
    // On a lost device this throws too; whoever releases memory after a fault has that to tell.
    (void)Guarded([] {
      c10::cuda::CUDACachingAllocator::emptyCache();
      return OkStatus();
    });
  }
#endif
  if (device.is_cpu()) ReleaseCachedCpuMemory();
}

namespace {

bool Says(const std::string& text, std::initializer_list<const char*> any_of) {
  return std::any_of(any_of.begin(), any_of.end(),
                     [&](const char* part) { return text.find(part) != std::string::npos; });
}

/// Only torch's own allocators throw an OutOfMemoryError; what CUDA and cuBLAS allocate themselves
/// fails with a text.
bool IsOutOfMemory(const std::exception& error, const std::string& text) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         Says(text, {"can't allocate memory", "CUDA error: out of memory",
                     "CUDA driver error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"});
}

}  // namespace

void Synchronize(at::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

Status TorchErrorToStatus(const std::exception& error) {
  std::string text = error.what();
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) {
    text = torch_error->what_without_backtrace();
  }
  const bool out_of_memory = IsOutOfMemory(error, text);
  const bool device_failed = Says(text, {"CUDA error", "CUDA driver error"});
  text = Printable(text, 1024);
  if (out_of_memory) {
    return ResourceExhaustedError("the device is out of memory: " + text)
        .AddDetail({"DEVICE_OUT_OF_MEMORY", {}, 0, {}, {}});
  }
  Status status = InternalError("libtorch: " + text);
  if (device_failed) status.AddDetail({"DEVICE_FAILED", {}, 0, {}, {}});
  return status;
}

}  // namespace graft::worker::engine
