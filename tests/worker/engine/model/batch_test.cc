#include "worker/engine/model/batch.h"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

namespace graft::worker::engine {
namespace {

std::vector<int64_t> Values(const at::Tensor& tensor) {
  EXPECT_EQ(tensor.scalar_type(), at::kLong);
  const at::Tensor flat = tensor.contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

/// Pack never looks into an adapter, so addresses do.
Owner OwnedBy(uintptr_t number) {
  return {.adapter = reinterpret_cast<const RowOwner*>(number * 64)};
}

class PackTest : public ::testing::Test {
 protected:
  const std::vector<int32_t> a_ = {2, 10, 11, 3}, b_ = {9}, c_ = {2, 3};
  const std::vector<int32_t> a_types_ = {0, 0, 1, 1};
  const std::vector<Sequence> sequences_ = {{a_.data(), a_types_.data(), 4, 100},
                                            {b_.data(), nullptr, 1, 7},
                                            {c_.data(), nullptr, 2, uint64_t{1} << 40}};
};

TEST_F(PackTest, TokensLieEndToEnd) {
  const PackedBatch batch = Pack(sequences_, {Owner{}, Owner{}, Owner{}}, at::kCPU);

  EXPECT_EQ(Values(batch.token_ids_T), (std::vector<int64_t>{2, 10, 11, 3, 9, 2, 3}));
  EXPECT_EQ(Values(batch.type_ids_T), (std::vector<int64_t>{0, 0, 1, 1, 0, 0, 0}));
  EXPECT_EQ(Values(batch.position_ids_T), (std::vector<int64_t>{0, 1, 2, 3, 0, 0, 1}));
  EXPECT_EQ(batch.tokens.offsets, (std::vector<int64_t>{0, 4, 5, 7}));
  EXPECT_EQ(batch.examples, (std::vector<uint64_t>{100, 7, uint64_t{1} << 40}));
  EXPECT_EQ(batch.tokens.longest, 4);
  EXPECT_EQ(batch.num_rows(), 7);
  EXPECT_EQ(batch.num_sequences(), 3);
  EXPECT_EQ(batch.length(2), 2);
  EXPECT_FALSE(batch.tokens.offsets_device.defined());
}

TEST_F(PackTest, OneOwnerIsOneSegment) {
  const PackedBatch batch = Pack(sequences_, {OwnedBy(1), OwnedBy(1), OwnedBy(1)}, at::kCPU);

  ASSERT_EQ(batch.segments.size(), 1U);
  EXPECT_EQ(batch.segments[0].sequence_end, 3);
}

TEST_F(PackTest, SegmentsCoverTheBatchAndEndWhereTheOwnerChanges) {
  const PackedBatch batch = Pack(sequences_, {OwnedBy(1), Owner{}, OwnedBy(2)}, at::kCPU);

  ASSERT_EQ(batch.segments.size(), 3U);
  const std::vector<Owner> owners = {OwnedBy(1), Owner{}, OwnedBy(2)};
  for (int64_t s = 0; s < 3; ++s) {
    const Segment& segment = batch.segments[s];
    EXPECT_EQ(segment.owner, owners[s]);
    EXPECT_EQ(segment.sequence_begin, s);
    EXPECT_EQ(segment.sequence_end, s + 1);
  }
}

TEST_F(PackTest, ThePlainBaseInFrontIsASegmentToo) {
  const PackedBatch batch = Pack(sequences_, {Owner{}, Owner{}, OwnedBy(2)}, at::kCPU);

  ASSERT_EQ(batch.segments.size(), 2U);
  EXPECT_EQ(batch.segments[0].owner.adapter, nullptr);
  EXPECT_EQ(batch.segments[0].sequence_end, 2);
  EXPECT_EQ(batch.segments[1].sequence_begin, 2);
}

TEST_F(PackTest, JobsAndStepsOfOneAdapterAreOwnersEach) {
  Owner later = OwnedBy(1);
  later.step = 1;

  EXPECT_EQ(Pack(sequences_, {OwnedBy(1), OwnedBy(1), later}, at::kCPU).segments.size(), 2U);
}

TEST_F(PackTest, AllRowsAreWantedUnlessASequenceSaysWhich) {
  const PackedBatch batch = Pack(sequences_, {Owner{}, Owner{}, Owner{}}, at::kCPU);

  EXPECT_TRUE(batch.wanted.all());
  EXPECT_EQ(batch.wanted.offsets, batch.tokens.offsets);
}

TEST_F(PackTest, WantedRowsAreCountedBySequenceAndFoundInTheBatch) {
  const std::vector<int32_t> of_a = {1, 3}, of_c = {1};
  std::vector<Sequence> sequences = sequences_;
  sequences[0].wanted = of_a;
  sequences[2].wanted = of_c;

  const PackedBatch batch = Pack(sequences, {OwnedBy(1), OwnedBy(2), OwnedBy(2)}, at::kCPU);

  EXPECT_FALSE(batch.wanted.all());
  EXPECT_EQ(Values(batch.wanted.index_R), (std::vector<int64_t>{1, 3, 4, 6}));
  EXPECT_EQ(batch.wanted.positions, (std::vector<int64_t>{1, 3, 0, 1}));
  EXPECT_EQ(batch.wanted.offsets, (std::vector<int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(batch.wanted.longest, 2);
  const at::Tensor rows = at::arange(4);
  EXPECT_EQ(Values(PackedBatch::RowsOf(batch.segments[1], batch.wanted, rows)),
            (std::vector<int64_t>{2, 3}));
}

}  // namespace
}  // namespace graft::worker::engine
