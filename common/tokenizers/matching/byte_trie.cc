#include "common/tokenizers/matching/byte_trie.h"

#include <algorithm>

namespace graft::tokenizers {
namespace {

uint32_t Key(int32_t node, unsigned char byte) { return static_cast<uint32_t>(node) << 8 | byte; }

}  // namespace

ByteTrie::ByteTrie() : edges_(64) {}

int32_t ByteTrie::NewNode(int32_t parent, unsigned char byte, int32_t depth) {
  parent_.push_back(parent);
  byte_.push_back(byte);
  depth_.push_back(depth);
  return size() - 1;
}

int32_t ByteTrie::AddRoot() { return NewNode(kNone, 0, 0); }

size_t ByteTrie::Slot(uint32_t key) const {
  const size_t mask = edges_.size() - 1;
  size_t slot = (key * uint64_t{0x9E3779B97F4A7C15} >> 32) & mask;
  while (edges_[slot].child != kNone && edges_[slot].key != key) slot = (slot + 1) & mask;
  return slot;
}

void ByteTrie::Grow() {
  std::vector<Edge> old(edges_.size() * 2);
  old.swap(edges_);
  for (const Edge& edge : old) {
    if (edge.child != kNone) edges_[Slot(edge.key)] = edge;
  }
}

int32_t ByteTrie::Insert(int32_t root, std::string_view text) {
  int32_t node = root;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((num_edges_ + 1) * 2 > edges_.size()) Grow();
    Edge& edge = edges_[Slot(Key(node, byte))];
    if (edge.child == kNone) {
      edge = {Key(node, byte), NewNode(node, byte, depth_[static_cast<size_t>(node)] + 1)};
      ++num_edges_;
    }
    node = edge.child;
  }
  return node;
}

int32_t ByteTrie::Child(int32_t node, unsigned char byte) const {
  return edges_[Slot(Key(node, byte))].child;
}

void ByteTrie::Finish() {
  parent_ = std::vector<int32_t>();
  depth_ = std::vector<int32_t>();
  byte_ = std::vector<unsigned char>();
}

std::vector<int32_t> ByteTrie::ByDepth() const {
  std::vector<int32_t> nodes(parent_.size());
  for (size_t i = 0; i < nodes.size(); ++i) nodes[i] = static_cast<int32_t>(i);
  std::stable_sort(nodes.begin(), nodes.end(), [this](int32_t a, int32_t b) {
    return depth_[static_cast<size_t>(a)] < depth_[static_cast<size_t>(b)];
  });
  return nodes;
}

}  // namespace graft::tokenizers
