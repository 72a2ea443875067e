#include "worker/engine/device/cpu_memory.h"

#include <gtest/gtest.h>

#include <c10/util/Exception.h>

#include "worker/engine/device/device.h"
#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {
namespace {

constexpr int64_t kMiB = 1 << 20;

/// A tensor of `bytes`, not filled.
at::Tensor Block(int64_t bytes) { return at::empty({bytes}, at::kByte); }

class CpuMemoryTest : public ::testing::Test {
 protected:
  CpuMemoryTest() {
    InstallCpuAllocator();
    ReleaseCachedCpuMemory();
    ResetPeakCpuMemory();
    before_ = GetCpuMemoryFigures();
  }
  int64_t Used() const { return GetCpuMemoryFigures().used_bytes - before_.used_bytes; }
  int64_t Peak() const { return GetCpuMemoryFigures().peak_bytes - before_.used_bytes; }

  CpuMemoryFigures before_;
};

TEST_F(CpuMemoryTest, CountersFollowLiveTensors) {
  at::Tensor small = Block(1000);
  at::Tensor large = Block(5 * kMiB);
  EXPECT_EQ(Used(), 1000 + 5 * kMiB);

  large = at::Tensor();
  EXPECT_EQ(Used(), 1000);
  small = at::Tensor();
  EXPECT_EQ(Used(), 0);
  EXPECT_EQ(Peak(), 1000 + 5 * kMiB);
}

TEST_F(CpuMemoryTest, PeakStartsAgainAtWhatIsUsed) {
  const at::Tensor kept = Block(3 * kMiB);
  (void)Block(9 * kMiB);
  ASSERT_EQ(Peak(), 12 * kMiB);

  ResetPeakCpuMemory();

  EXPECT_EQ(Peak(), 3 * kMiB);
}

TEST_F(CpuMemoryTest, AnEmptyTensorCostsNothing) {
  const at::Tensor empty = at::empty({0});

  EXPECT_EQ(Used(), 0);
}

TEST_F(CpuMemoryTest, AFreedLargeBlockIsUsedAgain) {
  at::Tensor first = Block(10 * kMiB);
  const void* place = first.data_ptr();
  first = at::Tensor();
  ASSERT_GE(GetCpuMemoryFigures().cached_bytes, 10 * kMiB);

  const at::Tensor second = Block(9 * kMiB);

  EXPECT_EQ(second.data_ptr(), place);
  EXPECT_EQ(GetCpuMemoryFigures().cached_bytes, 0);
  EXPECT_EQ(Used(), 9 * kMiB);
}

TEST_F(CpuMemoryTest, AMuchTooLargeBlockIsNotWasted) {
  at::Tensor first = Block(20 * kMiB);
  const void* place = first.data_ptr();
  first = at::Tensor();

  const at::Tensor second = Block(2 * kMiB);

  EXPECT_NE(second.data_ptr(), place);
}

TEST_F(CpuMemoryTest, SmallBlocksAreNotKept) {
  (void)Block(1000);

  EXPECT_EQ(GetCpuMemoryFigures().cached_bytes, 0);
}

TEST_F(CpuMemoryTest, ReleaseEmptiesTheCache) {
  (void)Block(10 * kMiB);
  ASSERT_GT(GetCpuMemoryFigures().cached_bytes, 0);

  ReleaseCachedCpuMemory();

  EXPECT_EQ(GetCpuMemoryFigures().cached_bytes, 0);
}

TEST_F(CpuMemoryTest, TheCacheIsBoundedByThePeak) {
  // Sizes that grow by more than a loose fit allows, so that no block serves the next.
  for (int64_t bytes = kMiB; bytes <= 256 * kMiB; bytes *= 4) (void)Block(bytes);
  for (int64_t bytes = 300 * kMiB; bytes >= 3 * kMiB; bytes = bytes * 2 / 5) (void)Block(bytes);

  const CpuMemoryFigures figures = GetCpuMemoryFigures();
  EXPECT_LE(figures.cached_bytes + figures.used_bytes, figures.peak_bytes * 3 / 2 + 66 * kMiB);
}

TEST_F(CpuMemoryTest, TheCacheLeavesWhereItsLimitIsReached) {
  { const at::Tensor freed = at::empty({40 * kMiB}, at::kByte); }
  ASSERT_GE(GetCpuMemoryFigures().cached_bytes, 40 * kMiB);
  LimitCpuMemory(GetCpuMemoryFigures().used_bytes + 50 * kMiB);

  const at::Tensor other = at::empty({100 * kMiB}, at::kByte);

  EXPECT_EQ(GetCpuMemoryFigures().cached_bytes, 0);
  LimitCpuMemory(INT64_MAX);
}

TEST_F(CpuMemoryTest, BlocksAreAlignedForTheWidestLoad) {
  for (const int64_t bytes : {int64_t{1}, int64_t{63}, int64_t{65}, kMiB, 3 * kMiB + 1}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(Block(bytes).data_ptr()) % 64, 0U) << bytes;
  }
}

TEST_F(CpuMemoryTest, AnAbsurdRequestThrowsAndCountsNothing) {
  const int64_t absurd = int64_t{1} << 60;

  EXPECT_THROW((void)Block(absurd), c10::OutOfMemoryError);

  EXPECT_EQ(Used(), 0);
  EXPECT_EQ(Peak(), 0);
}

TEST_F(CpuMemoryTest, RunningOutIsAnErrorThatNamesMemory) {
  const Status status = Guarded([&]() -> Status {
    (void)Block(int64_t{1} << 60);
    return OkStatus();
  });

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  ASSERT_FALSE(status.details().empty());
  EXPECT_EQ(status.details().front().reason, "DEVICE_OUT_OF_MEMORY");
}

}  // namespace
}  // namespace graft::worker::engine
