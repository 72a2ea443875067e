#include "worker/engine/serving/generation/stop_strings.h"

namespace graft::worker::engine::generation {

using tokenizers::ByteTrie;

StopStrings::StopStrings(const std::vector<std::string>& strings) : root_(trie_.AddRoot()) {
  std::vector<int32_t> ends;
  for (const std::string& text : strings) {
    ends.push_back(trie_.Insert(root_, text));
    begins_[static_cast<unsigned char>(text.front())] = true;
    lengths_.push_back(text.size());
  }
  const auto count = static_cast<size_t>(trie_.size());
  fail_.assign(count, root_);
  depth_.assign(count, 0);
  longest_.assign(count, -1);
  for (size_t i = ends.size(); i-- > 0;)
    longest_[static_cast<size_t>(ends[i])] = static_cast<int32_t>(i);
  for (const int32_t node : trie_.ByDepth()) Link(node);
  trie_.Finish();
}

void StopStrings::Link(int32_t node) {
  const int32_t parent = trie_.parent(node);
  if (parent == ByteTrie::kNone) return;
  const auto at = static_cast<size_t>(node);
  depth_[at] = depth_[static_cast<size_t>(parent)] + 1;
  if (parent != root_) {
    int64_t steps = 0;
    fail_[at] = Next(fail_[static_cast<size_t>(parent)], trie_.byte(node), steps);
  }
  if (longest_[at] < 0) longest_[at] = longest_[static_cast<size_t>(fail_[at])];
}

int32_t StopStrings::Next(int32_t state, unsigned char byte, int64_t& steps) const {
  for (;; state = fail_[static_cast<size_t>(state)]) {
    ++steps;
    if (state == root_ && !begins_[byte]) return root_;
    if (const int32_t next = trie_.Child(state, byte); next != ByteTrie::kNone) return next;
    if (state == root_) return root_;
  }
}

std::string_view StopStream::Show(size_t end) {
  const std::string_view shown = std::string_view(text_).substr(shown_, end - shown_);
  shown_ = end;
  return shown;
}

std::string_view StopStream::Add(std::string_view piece) {
  if (found_.has_value()) return {};
  // Half of it at a time, so that each byte is moved once on average.
  if (shown_ * 2 >= text_.size()) {
    text_.erase(0, shown_);
    shown_ = 0;
  }
  for (const char c : piece) {
    text_.push_back(c);
    state_ = strings_->Next(state_, static_cast<unsigned char>(c), steps_);
    const int32_t longest = strings_->longest_[static_cast<size_t>(state_)];
    if (longest < 0) continue;
    found_ = static_cast<size_t>(longest);
    return Show(text_.size() - strings_->lengths_[*found_]);
  }
  return Show(text_.size() - static_cast<size_t>(strings_->depth_[static_cast<size_t>(state_)]));
}

std::string_view StopStream::Close(std::string_view piece) {
  const std::string_view shown = Add(piece);
  if (found_.has_value()) return shown;
  shown_ -= shown.size();
  return Show(text_.size());
}

}  // namespace graft::worker::engine::generation
