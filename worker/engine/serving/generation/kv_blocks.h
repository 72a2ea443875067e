#pragma once
/// Who owns which block of the key-value cache. Bookkeeping alone: no tensor is here, and a copy is
/// an entry of a list that the engine carries out. Source: PagedAttention, arXiv:2309.06180.
///
/// A block holds the keys and values of `block_tokens` tokens of one sequence, or, behind a fork,
/// of the tokens that several have in common. Full blocks are shared as they are; whoever appends
/// to a shared block that isn't full gets a copy of its own first.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace graft::worker::engine::generation {

/// Copy all of block `from` to block `to`.
struct BlockCopy {
  int32_t from = 0, to = 0;
  friend bool operator==(const BlockCopy&, const BlockCopy&) = default;
};

/// A sequence's blocks. Made and changed by KvBlocks alone, to which it goes back (Free) before it
/// is destroyed. Moving leaves an empty one.
class BlockTable {
 public:
  BlockTable() = default;
  BlockTable(BlockTable&& other) noexcept { *this = std::move(other); }
  BlockTable& operator=(BlockTable&& other) noexcept;

  int64_t tokens() const { return tokens_; }
  /// Token i lies in blocks()[i / block_tokens], at i % block_tokens.
  std::span<const int32_t> blocks() const { return blocks_; }

 private:
  friend class KvBlocks;
  std::vector<int32_t> blocks_;
  int64_t tokens_ = 0;
};

/// Invariants: a block is free, or in as many tables as it has references; a table has no block
/// twice and as many as its tokens need; only full blocks, and the last of tables of one length,
/// are shared.
/// Thread safety: none; confined to the engine's thread.
class KvBlocks {
 public:
  /// Requires: num_blocks >= 0; block_tokens >= 1.
  KvBlocks(int32_t num_blocks, int64_t block_tokens);

  int32_t num_blocks() const { return static_cast<int32_t>(references_.size()); }
  int32_t free_blocks() const { return static_cast<int32_t>(free_.size()); }
  int64_t block_tokens() const { return block_tokens_; }
  /// Tables that have the block; 0 if it is free.
  int32_t references(int32_t block) const { return references_[static_cast<size_t>(block)]; }

  /// Blocks of a table of so many tokens.
  int64_t BlocksOf(int64_t tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }
  /// Free blocks that Append would take.
  int64_t BlocksToAppend(const BlockTable& table, int64_t tokens) const;

  /// Makes room for `tokens` more, >= 0. A copy that must be made before they are written is added
  /// to `copies`.
  /// Returns false, and changes nothing, if there are too few free blocks.
  bool Append(BlockTable& table, int64_t tokens, std::vector<BlockCopy>& copies);
  /// A table of the same tokens; takes no block.
  BlockTable Fork(const BlockTable& table);
  /// Gives the table's blocks back, and leaves it empty.
  void Free(BlockTable& table);

 private:
  bool MustCopyLast(const BlockTable& table, int64_t tokens) const;
  int32_t Take();
  void Release(int32_t block);

  const int64_t block_tokens_;
  std::vector<int32_t> references_;  ///< By block.
  std::vector<int32_t> free_;        ///< The last is taken next.
};

}  // namespace graft::worker::engine::generation
