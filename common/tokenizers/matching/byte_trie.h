#pragma once
/// A trie over bytes: one node per distinct prefix of the texts in it. Looking up a child is one
/// probe of a hash table, however many children a node has.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace graft::tokenizers {

/// Thread safety: const after the last Insert or Finish.
class ByteTrie {
 public:
  static constexpr int32_t kNone = -1;
  /// Bytes of all texts together that a trie may hold: it takes up to 40 times as much memory, and
  /// a node's number has 24 bits.
  static constexpr size_t kMaxBytes = (size_t{16} << 20) - 16;

  ByteTrie();

  /// A new node that begins texts of its own.
  int32_t AddRoot();
  /// The node of `text` under `root`; the nodes on the way there are made where they are missing.
  /// Requires: no more than kMaxBytes bytes are inserted in all.
  int32_t Insert(int32_t root, std::string_view text);
  /// The node that `byte` leads to, kNone if there is none.
  int32_t Child(int32_t node, unsigned char byte) const;

  int32_t size() const { return static_cast<int32_t>(parent_.size()); }
  int32_t parent(int32_t node) const { return parent_[static_cast<size_t>(node)]; }
  unsigned char byte(int32_t node) const { return byte_[static_cast<size_t>(node)]; }
  /// All nodes, each after those that are nearer to their root.
  std::vector<int32_t> ByDepth() const;
  /// Gives back what only building needs. Requires: behind it nothing but Child is called.
  void Finish();

 private:
  struct Edge {
    uint32_t key = 0;  ///< The parent's number and the byte.
    int32_t child = kNone;
  };
  int32_t NewNode(int32_t parent, unsigned char byte, int32_t depth);
  size_t Slot(uint32_t key) const;
  void Grow();

  std::vector<int32_t> parent_, depth_;
  std::vector<unsigned char> byte_;
  std::vector<Edge> edges_;  ///< Open addressing; a power of two, at most half full.
  size_t num_edges_ = 0;
};

}  // namespace graft::tokenizers
