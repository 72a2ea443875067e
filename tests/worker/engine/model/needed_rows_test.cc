#include "worker/engine/model/needed_rows.h"

#include <gtest/gtest.h>

#include <vector>

namespace graft::worker::engine {
namespace {

using Ids = std::vector<int64_t>;

Ids Values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

/// PackNeeded never looks into an adapter, so addresses do.
Owner OwnedBy(uintptr_t number) {
  return {.adapter = reinterpret_cast<const RowOwner*>(number * 64)};
}

struct Text {
  std::vector<int32_t> ids, wanted;
};

PackedBatch PackTexts(const std::vector<Text>& texts, std::vector<Owner> owners = {}) {
  std::vector<Sequence> sequences;
  for (const Text& text : texts) {
    sequences.push_back({.ids = text.ids.data(),
                         .length = static_cast<int64_t>(text.ids.size()),
                         .example = sequences.size(),
                         .wanted = text.wanted});
  }
  owners.resize(texts.size());
  return PackNeeded(sequences, owners, at::kCPU);
}

TEST(NeededRowsTest, ABeginningIsComputedOnce) {
  const PackedBatch batch =
      PackTexts({{{1, 2, 3, 4}, {3}}, {{1, 2, 5, 6}, {2, 3}}, {{7, 2}, {1}}, {{1, 2, 5, 8}, {3}}});

  EXPECT_EQ(Values(batch.token_ids_T), (Ids{1, 2, 3, 4, 5, 6, 7, 2, 5, 8}));
  EXPECT_EQ(Values(batch.position_ids_T), (Ids{0, 1, 2, 3, 2, 3, 0, 1, 2, 3}));
  EXPECT_EQ(batch.tokens.offsets, (Ids{0, 4, 6, 8, 10}));
  EXPECT_EQ(Values(batch.wanted.index_R), (Ids{3, 4, 5, 7, 9}));
  ASSERT_TRUE(batch.shared);
  EXPECT_EQ(batch.shared->places.offsets, (Ids{0, 4, 8, 10, 14}));
  EXPECT_EQ(batch.shared->places.longest, 4);
  EXPECT_EQ(Values(batch.shared->rows_P), (Ids{0, 1, 2, 3, 0, 1, 4, 5, 6, 7, 0, 1, 8, 9}))
      << "the second one's 5 is read, so that the last has its own";
  EXPECT_EQ(Values(batch.shared->tokens.index_R), (Ids{0, 1, 2, 3, 6, 7, 8, 9, 12, 13}));
  EXPECT_EQ(Values(batch.shared->wanted.index_R), (Ids{3, 6, 7, 9, 13}));
  EXPECT_EQ(batch.shared->wanted.position(1, 1), 3);
}

TEST(NeededRowsTest, ABeginningMayBeOfSeveralEarlierOnes) {
  const PackedBatch batch =
      PackTexts({{{1, 2, 3}, {2}}, {{1, 2, 4, 5, 6}, {4}}, {{1, 2, 4, 5, 7}, {4}}});

  ASSERT_TRUE(batch.shared);
  EXPECT_EQ(Values(batch.token_ids_T), (Ids{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(Values(batch.shared->rows_P), (Ids{0, 1, 2, 0, 1, 3, 4, 5, 0, 1, 3, 4, 6}));
}

TEST(NeededRowsTest, WhatIsBehindTheLastOneReadIsNotComputed) {
  const PackedBatch batch = PackTexts({{{1, 2, 3, 4}, {0, 1}}, {{5, 6, 7}, {2}}});

  EXPECT_FALSE(batch.shared);
  EXPECT_EQ(Values(batch.token_ids_T), (Ids{1, 2, 5, 6, 7}));
  EXPECT_EQ(Values(batch.wanted.index_R), (Ids{0, 1, 4}));
}

TEST(NeededRowsTest, RowsThatAreReadAreOnesOwn) {
  const PackedBatch all = PackTexts({{{1, 2, 3}, {}}, {{1, 2, 3}, {}}});
  EXPECT_FALSE(all.shared);
  EXPECT_EQ(all.num_rows(), 6);

  const PackedBatch same = PackTexts({{{1, 2, 3}, {2}}, {{1, 2, 3}, {2}}});
  ASSERT_TRUE(same.shared);
  EXPECT_EQ(Values(same.shared->rows_P), (Ids{0, 1, 2, 0, 1, 3}));
}

TEST(NeededRowsTest, OwnersShareNothing) {
  const PackedBatch batch =
      PackTexts({{{1, 2, 3}, {2}}, {{1, 2, 4}, {2}}}, {OwnedBy(1), OwnedBy(2)});

  EXPECT_FALSE(batch.shared);
  EXPECT_EQ(batch.num_rows(), 6);
  EXPECT_EQ(batch.segments.size(), 2U);
}

}  // namespace
}  // namespace graft::worker::engine
