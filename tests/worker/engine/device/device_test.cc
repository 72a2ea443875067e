#include "worker/engine/device/device.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include <c10/util/Exception.h>

#include "tests/worker/engine/engine_case.h"

namespace graft::worker::engine {
namespace {

/// What the wall makes of a c10::Error with this text.
Status StatusOf(const std::string& text) {
  return Guarded([&]() -> Status {
    TORCH_CHECK(false, text);
    return OkStatus();
  });
}

TEST(GuardedTest, EveryWayToRunOutOfMemoryIsTheSameFault) {
  const auto thrown = [](auto&& body) {
    return Guarded([&]() -> Status {
      body();
      return OkStatus();
    });
  };
  const Status statuses[] = {
      thrown([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried ..."); }),
      thrown([] { throw std::bad_alloc(); }),
      StatusOf("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
      StatusOf("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
      StatusOf("CUDA driver error: out of memory"),
      StatusOf("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
  };

  for (const Status& status : statuses) {
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
    EXPECT_EQ(ReasonOf(status), "DEVICE_OUT_OF_MEMORY") << status;
  }
}

TEST(GuardedTest, AFailureOfTheDeviceIsToldFromABug) {
  const Status lost = StatusOf("CUDA error: an illegal memory access was encountered");
  std::string long_text(4000, '.');
  long_text += "CUDA error: device-side assert triggered";
  const Status failed = StatusOf(long_text);
  const Status bug = StatusOf("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)");

  for (const Status& status : {lost, failed, bug}) {
    EXPECT_EQ(status.code(), StatusCode::kInternal) << status;
    EXPECT_LE(status.message().size(), 1100U);
  }
  EXPECT_EQ(ReasonOf(lost), "DEVICE_FAILED");
  EXPECT_EQ(ReasonOf(failed), "DEVICE_FAILED");
  EXPECT_EQ(ReasonOf(bug), "");
}

}  // namespace
}  // namespace graft::worker::engine
