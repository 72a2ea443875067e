#include "worker/engine/serving/generation/kv_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace graft::worker::engine::generation {
namespace {

using Blocks = std::vector<int32_t>;

Blocks BlocksIn(const BlockTable& table) { return {table.blocks().begin(), table.blocks().end()}; }

class KvBlocksTest : public ::testing::Test {
 protected:
  bool Append(BlockTable& table, int64_t tokens) { return blocks_.Append(table, tokens, copies_); }

  KvBlocks blocks_{10, 4};
  std::vector<BlockCopy> copies_;
};

TEST_F(KvBlocksTest, ATableHasAsManyBlocksAsItsTokensNeed) {
  BlockTable table;
  for (int64_t tokens = 1; tokens <= 40; ++tokens) {
    EXPECT_EQ(blocks_.BlocksToAppend(table, 1), tokens % 4 == 1 ? 1 : 0);
    ASSERT_TRUE(Append(table, 1));
    EXPECT_EQ(table.tokens(), tokens);
    EXPECT_EQ(table.blocks().size(), static_cast<size_t>((tokens + 3) / 4));
    EXPECT_EQ(blocks_.free_blocks(), 10 - (tokens + 3) / 4);
  }
  EXPECT_TRUE(copies_.empty());
}

TEST_F(KvBlocksTest, WhatDoesntFitChangesNothing) {
  BlockTable first, second;
  ASSERT_TRUE(Append(first, 30));
  ASSERT_TRUE(Append(second, 5));
  EXPECT_EQ(blocks_.free_blocks(), 0);

  EXPECT_FALSE(Append(second, 4));

  EXPECT_EQ(second.tokens(), 5);
  EXPECT_EQ(second.blocks().size(), 2U);
  EXPECT_TRUE(Append(second, 3)) << "its last block has room";
  EXPECT_FALSE(Append(second, 1));
}

TEST_F(KvBlocksTest, FreedBlocksAreThere) {
  BlockTable table, other;
  ASSERT_TRUE(Append(table, 40));
  ASSERT_FALSE(Append(other, 1));

  blocks_.Free(table);

  EXPECT_EQ(table.tokens(), 0);
  EXPECT_TRUE(table.blocks().empty());
  EXPECT_EQ(blocks_.free_blocks(), 10);
  EXPECT_TRUE(Append(other, 40));
}

TEST_F(KvBlocksTest, AForkTakesNoBlockUntilItIsAppendedTo) {
  BlockTable table;
  ASSERT_TRUE(Append(table, 6));

  BlockTable fork = blocks_.Fork(table);

  EXPECT_EQ(BlocksIn(fork), BlocksIn(table));
  EXPECT_EQ(fork.tokens(), 6);
  EXPECT_EQ(blocks_.free_blocks(), 8);
  EXPECT_EQ(blocks_.references(table.blocks()[0]), 2);
}

TEST_F(KvBlocksTest, WhoAppendsToASharedBlockGetsACopyAndTheLastOneKeepsIt) {
  BlockTable table;
  ASSERT_TRUE(Append(table, 6));
  BlockTable fork = blocks_.Fork(table);
  const Blocks before = BlocksIn(table);
  EXPECT_EQ(blocks_.BlocksToAppend(table, 1), 1);

  ASSERT_TRUE(Append(table, 1));
  ASSERT_TRUE(Append(fork, 1));

  ASSERT_EQ(copies_, (std::vector<BlockCopy>{{before[1], table.blocks()[1]}}));
  EXPECT_NE(table.blocks()[1], before[1]);
  EXPECT_EQ(BlocksIn(fork), before);
  EXPECT_EQ(table.blocks()[0], before[0]) << "the full one stays shared";
  EXPECT_EQ(blocks_.free_blocks(), 7);
}

TEST_F(KvBlocksTest, FullBlocksAreNeverCopied) {
  BlockTable table;
  ASSERT_TRUE(Append(table, 8));
  BlockTable fork = blocks_.Fork(table);

  ASSERT_TRUE(Append(table, 1));
  ASSERT_TRUE(Append(fork, 1));

  EXPECT_TRUE(copies_.empty());
  EXPECT_NE(table.blocks()[2], fork.blocks()[2]);
}

TEST_F(KvBlocksTest, ACopyThatHasNoBlockChangesNothing) {
  BlockTable table, rest;
  ASSERT_TRUE(Append(table, 6));
  BlockTable fork = blocks_.Fork(table);
  ASSERT_TRUE(Append(rest, 32));

  EXPECT_FALSE(Append(fork, 1));

  EXPECT_TRUE(copies_.empty());
  EXPECT_EQ(BlocksIn(fork), BlocksIn(table));
  blocks_.Free(table);
  EXPECT_TRUE(Append(fork, 1)) << "nobody shares it any more";
  EXPECT_TRUE(copies_.empty());
}

TEST_F(KvBlocksTest, SharedBlocksAreFreeOnceTheLastTableIs) {
  BlockTable table;
  ASSERT_TRUE(Append(table, 8));
  BlockTable fork = blocks_.Fork(table), third = blocks_.Fork(fork);

  blocks_.Free(table);
  blocks_.Free(third);
  EXPECT_EQ(blocks_.free_blocks(), 8);
  blocks_.Free(fork);

  EXPECT_EQ(blocks_.free_blocks(), 10);
}

TEST_F(KvBlocksTest, NoTokensNeedNothing) {
  BlockTable table;
  EXPECT_TRUE(Append(table, 0));
  EXPECT_TRUE(table.blocks().empty());
  ASSERT_TRUE(Append(table, 2));
  BlockTable fork = blocks_.Fork(table);

  EXPECT_TRUE(Append(fork, 0));

  EXPECT_TRUE(copies_.empty());
}

TEST_F(KvBlocksTest, AMovedTableIsEmpty) {
  BlockTable table;
  ASSERT_TRUE(Append(table, 6));

  const BlockTable moved = std::move(table);

  EXPECT_EQ(moved.tokens(), 6);
  EXPECT_EQ(table.tokens(), 0);  // NOLINT(bugprone-use-after-move): that is what is tested.
  EXPECT_TRUE(table.blocks().empty());
}

/// The cache as an engine has it, and beside it what each sequence wrote: if a sequence ever reads
/// something else, a block had two owners.
class Memory {
 public:
  Memory(int32_t num_blocks, int64_t block_tokens)
      : blocks_(num_blocks, block_tokens),
        cells_(static_cast<size_t>(num_blocks * block_tokens), -1) {}

  struct Sequence {
    BlockTable table;
    std::vector<int64_t> written;
  };

  void Append(Sequence& sequence, int64_t tokens) {
    const int64_t needed = Needed(sequence, tokens);
    ASSERT_EQ(blocks_.BlocksToAppend(sequence.table, tokens), needed);
    const bool fits = needed <= blocks_.free_blocks();
    std::vector<BlockCopy> copies;
    ASSERT_EQ(blocks_.Append(sequence.table, tokens, copies), fits);
    for (const BlockCopy& copy : copies) {
      for (int64_t i = 0; i < blocks_.block_tokens(); ++i)
        cells_[CellAt(copy.to, i)] = cells_[CellAt(copy.from, i)];
    }
    if (!fits) return;
    for (int64_t i = 0; i < tokens; ++i) {
      sequence.written.push_back(++last_value_);
      cells_[CellOf(sequence, sequence.written.size() - 1)] = last_value_;
    }
  }
  Sequence Fork(const Sequence& sequence) {
    return {blocks_.Fork(sequence.table), sequence.written};
  }
  void Free(Sequence& sequence) {
    blocks_.Free(sequence.table);
    sequence.written.clear();
  }

  void Check(const std::map<int, Sequence>& sequences) const {
    std::map<int32_t, int32_t> references;
    for (const auto& [id, sequence] : sequences) {
      ASSERT_EQ(sequence.table.tokens(), static_cast<int64_t>(sequence.written.size()));
      ASSERT_EQ(static_cast<int64_t>(sequence.table.blocks().size()),
                blocks_.BlocksOf(sequence.table.tokens()));
      const auto blocks = sequence.table.blocks();
      ASSERT_EQ(std::set<int32_t>(blocks.begin(), blocks.end()).size(), blocks.size());
      for (const int32_t block : blocks) ++references[block];
      for (size_t i = 0; i < sequence.written.size(); ++i)
        ASSERT_EQ(cells_[CellOf(sequence, i)], sequence.written[i]);
    }
    for (int32_t block = 0; block < blocks_.num_blocks(); ++block)
      ASSERT_EQ(blocks_.references(block), references[block]);
    const auto in_use =
        std::ranges::count_if(references, [](const auto& entry) { return entry.second > 0; });
    ASSERT_EQ(blocks_.free_blocks() + in_use, blocks_.num_blocks());
  }

 private:
  int64_t Needed(const Sequence& sequence, int64_t tokens) const {
    const int64_t size = blocks_.block_tokens();
    const auto before = static_cast<int64_t>(sequence.written.size());
    int64_t needed = (before + tokens + size - 1) / size - (before + size - 1) / size;
    if (tokens > 0 && before % size != 0 && blocks_.references(sequence.table.blocks().back()) > 1)
      ++needed;
    return needed;
  }
  size_t CellAt(int32_t block, int64_t index) const {
    return static_cast<size_t>(block * blocks_.block_tokens() + index);
  }
  size_t CellOf(const Sequence& sequence, size_t token) const {
    const auto size = static_cast<size_t>(blocks_.block_tokens());
    return CellAt(sequence.table.blocks()[token / size], static_cast<int64_t>(token % size));
  }

  KvBlocks blocks_;
  std::vector<int64_t> cells_;
  int64_t last_value_ = 0;
};

class RandomKvBlocksTest : public ::testing::TestWithParam<uint32_t> {};

TEST_P(RandomKvBlocksTest, EverySequenceReadsWhatItWroteAndNoBlockIsLost) {
  std::mt19937 random(GetParam());
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
  Memory memory(static_cast<int32_t>(1 + below(40)), 1 + below(9));
  std::map<int, Memory::Sequence> sequences;
  int last_id = 0;
  for (int event = 0; event < 2000; ++event) {
    auto chosen = sequences.begin();
    if (!sequences.empty()) std::advance(chosen, below(static_cast<int64_t>(sequences.size())));
    const int64_t kind = sequences.empty() ? 0 : below(20);
    if (kind < 2) {
      memory.Append(sequences[++last_id], below(30));
    } else if (kind < 15) {
      memory.Append(chosen->second, below(4) == 0 ? below(20) : 1);
    } else if (kind < 18 && sequences.size() < 12) {
      sequences[++last_id] = memory.Fork(chosen->second);
    } else {
      memory.Free(chosen->second);
      sequences.erase(chosen);
    }
    ASSERT_NO_FATAL_FAILURE(memory.Check(sequences)) << "event " << event;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomKvBlocksTest, ::testing::Range(0U, 30U));

}  // namespace
}  // namespace graft::worker::engine::generation
