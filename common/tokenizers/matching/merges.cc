#include "common/tokenizers/matching/merges.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <queue>

namespace graft::tokenizers {
namespace {

/// Words up to here are merged by looking at all ranks for the lowest each time, which beats a
/// queue as long as they fit a few cache lines.
constexpr size_t kShort = 32;

uint64_t Pair(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

size_t Slot(uint64_t pair, size_t mask) {
  const uint64_t hash = (pair ^ pair >> 23) * 0x9E3779B97F4A7C15;
  return (hash >> 32) & mask;
}

}  // namespace

Merges::Merges(size_t num_pairs) : rules_(std::bit_ceil(num_pairs * 2 + 2)) {}

size_t Merges::Place(uint64_t pair) const {
  const size_t mask = rules_.size() - 1;
  size_t at = Slot(pair, mask);
  while (rules_[at].pair != pair && rules_[at].rank != kNever) at = (at + 1) & mask;
  return at;
}

const Merges::Rule& Merges::Find(int32_t left, int32_t right) const {
  return rules_[Place(Pair(left, right))];
}

void Merges::Grow() {
  std::vector<Rule> old(rules_.size() * 2);
  old.swap(rules_);
  for (const Rule& rule : old) {
    if (rule.rank != kNever) rules_[Place(rule.pair)] = rule;
  }
}

void Merges::Add(int32_t left, int32_t right, int32_t rank, int32_t joined) {
  if ((num_pairs_ + 1) * 2 > rules_.size()) Grow();
  Rule& rule = rules_[Place(Pair(left, right))];
  if (rule.rank == kNever) ++num_pairs_;
  rule = {Pair(left, right), static_cast<uint32_t>(rank), joined};
}

size_t Merges::ApplyShort(int32_t* ids, size_t count, size_t* steps) const {
  uint32_t ranks[kShort];  // Of each id with the next one.
  int32_t joined[kShort];
  const auto look = [&](size_t at) {
    if (steps != nullptr) ++*steps;
    const Rule& rule = Find(ids[at], ids[at + 1]);
    ranks[at] = rule.rank;
    joined[at] = rule.joined;
  };
  for (size_t i = 0; i + 1 < count; ++i) look(i);
  while (count > 1) {
    const size_t at = static_cast<size_t>(std::min_element(ranks, ranks + count - 1) - ranks);
    if (ranks[at] == kNever) break;
    ids[at] = joined[at];
    --count;
    for (size_t i = at + 1; i < count; ++i) {
      ids[i] = ids[i + 1];
      ranks[i - 1] = ranks[i];
      joined[i - 1] = joined[i];
    }
    if (at > 0) look(at - 1);
    if (at + 1 < count) look(at);
  }
  return count;
}

/// A long word while it is merged: a list of ids, and a queue of the pairs that can be joined.
class Merges::Word {
 public:
  Word(const Merges& merges, int32_t* ids, size_t count, size_t* steps)
      : merges_(merges), ids_(ids), nodes_(count), steps_(steps) {
    std::vector<uint64_t> pairs;
    for (size_t i = 0; i < count; ++i) {
      nodes_[i].before = static_cast<uint32_t>(i) - 1;
      nodes_[i].next = static_cast<uint32_t>(i + 1 < count ? i + 1 : kEnd);
      if (Look(static_cast<uint32_t>(i))) pairs.push_back(Entry(static_cast<uint32_t>(i)));
    }
    queue_ = Queue(std::greater<>(), std::move(pairs));
  }

  /// The number of ids that are left.
  size_t Merge() {
    while (!queue_.empty()) {
      const auto at = static_cast<uint32_t>(queue_.top());
      const auto rank = static_cast<uint32_t>(queue_.top() >> 32);
      queue_.pop();
      // A pair of which one has been joined to another meanwhile stands in the queue still.
      if (nodes_[at].rank == rank) Join(at);
    }
    size_t count = 0;
    for (uint32_t at = 0; at != kEnd; at = nodes_[at].next) ids_[count++] = ids_[at];
    return count;
  }

 private:
  static constexpr uint32_t kEnd = 0xFFFFFFFF;
  struct Node {
    uint32_t before = kEnd, next = kEnd;
    uint32_t rank = kNever;  ///< Of the pair that it and the next one are.
    int32_t joined = 0;
  };
  using Queue = std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>>;

  uint64_t Entry(uint32_t at) const { return uint64_t{nodes_[at].rank} << 32 | at; }

  /// Looks up the pair that begins at `at`; can it be joined?
  bool Look(uint32_t at) {
    Node& node = nodes_[at];
    node.rank = kNever;
    if (node.next == kEnd) return false;
    if (steps_ != nullptr) ++*steps_;
    const Rule& rule = merges_.Find(ids_[at], ids_[node.next]);
    node.rank = rule.rank;
    node.joined = rule.joined;
    return rule.rank != kNever;
  }

  void Join(uint32_t at) {
    Node& node = nodes_[at];
    ids_[at] = node.joined;
    nodes_[node.next].rank = kNever;
    node.next = nodes_[node.next].next;
    if (node.next != kEnd) nodes_[node.next].before = at;
    if (Look(at)) queue_.push(Entry(at));
    if (node.before != kEnd && Look(node.before)) queue_.push(Entry(node.before));
  }

  const Merges& merges_;
  int32_t* const ids_;
  std::vector<Node> nodes_;
  Queue queue_;
  size_t* const steps_;
};

void Merges::Apply(std::vector<int32_t>& ids, size_t from, size_t* steps) const {
  const size_t count = ids.size() - from;
  if (count < 2) return;
  int32_t* begin = ids.data() + from;
  const size_t left =
      count <= kShort ? ApplyShort(begin, count, steps) : Word(*this, begin, count, steps).Merge();
  ids.resize(from + left);
}

}  // namespace graft::tokenizers
