#include "worker/engine/serving/generation/kv_blocks.h"

namespace graft::worker::engine::generation {

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  blocks_ = std::exchange(other.blocks_, {});
  tokens_ = std::exchange(other.tokens_, 0);
  return *this;
}

KvBlocks::KvBlocks(int32_t num_blocks, int64_t block_tokens)
    : block_tokens_(block_tokens), references_(static_cast<size_t>(num_blocks)) {
  for (int32_t block = num_blocks; block-- > 0;) free_.push_back(block);
}

bool KvBlocks::MustCopyLast(const BlockTable& table, int64_t tokens) const {
  return tokens > 0 && table.tokens_ % block_tokens_ != 0 && references(table.blocks_.back()) > 1;
}

int64_t KvBlocks::BlocksToAppend(const BlockTable& table, int64_t tokens) const {
  const int64_t added =
      BlocksOf(table.tokens_ + tokens) - static_cast<int64_t>(table.blocks_.size());
  return added + (MustCopyLast(table, tokens) ? 1 : 0);
}

int32_t KvBlocks::Take() {
  const int32_t block = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(block)] = 1;
  return block;
}

void KvBlocks::Release(int32_t block) {
  if (--references_[static_cast<size_t>(block)] == 0) free_.push_back(block);
}

bool KvBlocks::Append(BlockTable& table, int64_t tokens, std::vector<BlockCopy>& copies) {
  if (BlocksToAppend(table, tokens) > free_blocks()) return false;
  if (MustCopyLast(table, tokens)) {
    const int32_t from = std::exchange(table.blocks_.back(), Take());
    copies.push_back({from, table.blocks_.back()});
    Release(from);
  }
  table.tokens_ += tokens;
  const auto wanted = static_cast<size_t>(BlocksOf(table.tokens_));
  while (table.blocks_.size() < wanted) table.blocks_.push_back(Take());
  return true;
}

BlockTable KvBlocks::Fork(const BlockTable& table) {
  BlockTable fork;
  fork.blocks_ = table.blocks_;
  fork.tokens_ = table.tokens_;
  for (const int32_t block : fork.blocks_) ++references_[static_cast<size_t>(block)];
  return fork;
}

void KvBlocks::Free(BlockTable& table) {
  for (size_t i = table.blocks_.size(); i-- > 0;) Release(table.blocks_[i]);
  table.blocks_.clear();
  table.tokens_ = 0;
}

}  // namespace graft::worker::engine::generation
