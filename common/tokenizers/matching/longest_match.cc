#include "common/tokenizers/matching/longest_match.h"

#include <algorithm>

namespace graft::tokenizers {

LongestMatch::LongestMatch(const std::vector<std::string>& patterns) : root_(trie_.AddRoot()) {
  std::vector<int32_t> nodes;
  for (const std::string& pattern : patterns) {
    length_.push_back(pattern.size());
    nodes.push_back(trie_.Insert(root_, std::string(pattern.rbegin(), pattern.rend())));
    if (!pattern.empty()) ends_[static_cast<unsigned char>(pattern.back())] = true;
  }
  const auto count = static_cast<size_t>(trie_.size());
  fail_.assign(count, root_);
  best_.assign(count, -1);
  for (size_t i = nodes.size(); i-- > 0;) {
    if (nodes[i] != root_) best_[static_cast<size_t>(nodes[i])] = static_cast<int32_t>(i);
  }
  for (const int32_t node : trie_.ByDepth()) {
    const int32_t parent = trie_.parent(node);
    if (parent == ByteTrie::kNone) continue;
    const auto at = static_cast<size_t>(node);
    if (parent != root_) {
      int32_t state = fail_[static_cast<size_t>(parent)];
      int32_t next = trie_.Child(state, trie_.byte(node));
      while (next == ByteTrie::kNone && state != root_) {
        state = fail_[static_cast<size_t>(state)];
        next = trie_.Child(state, trie_.byte(node));
      }
      if (next != ByteTrie::kNone) fail_[at] = next;
    }
    if (best_[at] < 0) best_[at] = best_[static_cast<size_t>(fail_[at])];
  }
  trie_.Finish();
}

std::vector<LongestMatch::Match> LongestMatch::Find(std::string_view text, size_t* steps) const {
  std::vector<Match> begins;  // The longest at each place where one begins, from the end.
  int32_t state = root_;
  size_t looked_at = 0;
  for (size_t i = text.size(); i-- > 0;) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (state == root_ && !ends_[byte]) continue;
    ++looked_at;
    int32_t next = trie_.Child(state, byte);
    while (next == ByteTrie::kNone && state != root_) {
      ++looked_at;
      state = fail_[static_cast<size_t>(state)];
      next = trie_.Child(state, byte);
    }
    if (next == ByteTrie::kNone) continue;
    state = next;
    if (const int32_t pattern = best_[static_cast<size_t>(state)]; pattern >= 0) {
      const auto index = static_cast<size_t>(pattern);
      begins.push_back({i, i + length_[index], index});
    }
  }
  std::vector<Match> matches;
  for (size_t i = begins.size(), from = 0; i-- > 0;) {
    if (begins[i].begin < from) continue;
    from = begins[i].end;
    matches.push_back(begins[i]);
  }
  if (steps != nullptr) *steps = looked_at;
  return matches;
}

}  // namespace graft::tokenizers
