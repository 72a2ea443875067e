#include "worker/engine/model/batch.h"

#include <gtest/gtest.h>

namespace graft::worker::engine {
namespace {

std::vector<int64_t> Values(const at::Tensor& tensor) {
  EXPECT_EQ(tensor.scalar_type(), at::kLong);
  const at::Tensor flat = tensor.contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

/// Pack never looks into an adapter, so addresses do.
const Adapter* Owner(uintptr_t number) { return reinterpret_cast<const Adapter*>(number * 64); }

class PackTest : public ::testing::Test {
 protected:
  const std::vector<int32_t> a_ = {2, 10, 11, 3}, b_ = {9}, c_ = {2, 3};
  const std::vector<int32_t> a_types_ = {0, 0, 1, 1};
  const std::vector<Sequence> sequences_ = {{a_.data(), a_types_.data(), 4, 100},
                                            {b_.data(), nullptr, 1, 7},
                                            {c_.data(), nullptr, 2, uint64_t{1} << 40}};
};

TEST_F(PackTest, TokensLieEndToEnd) {
  const PackedBatch batch = Pack(sequences_, {nullptr, nullptr, nullptr}, at::kCPU);

  EXPECT_EQ(Values(batch.token_ids_T), (std::vector<int64_t>{2, 10, 11, 3, 9, 2, 3}));
  EXPECT_EQ(Values(batch.type_ids_T), (std::vector<int64_t>{0, 0, 1, 1, 0, 0, 0}));
  EXPECT_EQ(Values(batch.position_ids_T), (std::vector<int64_t>{0, 1, 2, 3, 0, 0, 1}));
  EXPECT_EQ(Values(batch.first_rows_S), (std::vector<int64_t>{0, 4, 5}));
  EXPECT_EQ(batch.offsets, (std::vector<int64_t>{0, 4, 5, 7}));
  EXPECT_EQ(batch.examples, (std::vector<uint64_t>{100, 7, uint64_t{1} << 40}));
  EXPECT_EQ(batch.max_length, 4);
  EXPECT_EQ(batch.num_rows(), 7);
  EXPECT_EQ(batch.num_sequences(), 3);
  EXPECT_EQ(batch.length(2), 2);
  EXPECT_FALSE(batch.offsets_device.defined());
}

TEST_F(PackTest, OneOwnerIsOneSegment) {
  const PackedBatch batch = Pack(sequences_, {Owner(1), Owner(1), Owner(1)}, at::kCPU);

  ASSERT_EQ(batch.segments.size(), 1U);
  EXPECT_EQ(batch.segments[0].row_end, 7);
  EXPECT_EQ(batch.segments[0].sequence_end, 3);
}

TEST_F(PackTest, SegmentsCoverTheBatchAndEndWhereTheOwnerChanges) {
  const PackedBatch batch = Pack(sequences_, {Owner(1), nullptr, Owner(2)}, at::kCPU);

  ASSERT_EQ(batch.segments.size(), 3U);
  const std::vector<const Adapter*> owners = {Owner(1), nullptr, Owner(2)};
  for (int64_t s = 0; s < 3; ++s) {
    const Segment& segment = batch.segments[s];
    EXPECT_EQ(segment.adapter, owners[s]);
    EXPECT_EQ(segment.row_begin, batch.offsets[s]);
    EXPECT_EQ(segment.row_end, batch.offsets[s + 1]);
    EXPECT_EQ(segment.sequence_begin, s);
    EXPECT_EQ(segment.sequence_end, s + 1);
  }
}

TEST_F(PackTest, ThePlainBaseInFrontIsASegmentToo) {
  const PackedBatch batch = Pack(sequences_, {nullptr, nullptr, Owner(2)}, at::kCPU);

  ASSERT_EQ(batch.segments.size(), 2U);
  EXPECT_EQ(batch.segments[0].adapter, nullptr);
  EXPECT_EQ(batch.segments[0].row_end, 5);
  EXPECT_EQ(batch.segments[1].row_begin, 5);
}

}  // namespace
}  // namespace graft::worker::engine
