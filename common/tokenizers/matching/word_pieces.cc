#include "common/tokenizers/matching/word_pieces.h"

namespace graft::tokenizers {

WordPieces::WordPieces(const std::vector<Piece>& first, const std::vector<Piece>& rest)
    : first_root_(trie_.AddRoot()), rest_root_(trie_.AddRoot()) {
  std::vector<std::pair<int32_t, int32_t>> ends;
  for (const auto& [pieces, root] : {std::pair{&first, first_root_}, {&rest, rest_root_}}) {
    for (const auto& [text, id] : *pieces) {
      if (!text.empty()) ends.emplace_back(trie_.Insert(root, text), id);
    }
  }
  const auto count = static_cast<size_t>(trie_.size());
  id_.assign(count, -1);
  fail_.assign(count, ByteTrie::kNone);
  pieces_.assign(count, kEmpty);
  for (const auto& [node, id] : ends) id_[static_cast<size_t>(node)] = id;
  for (const int32_t node : trie_.ByDepth()) Link(node);
  trie_.Finish();
  lists_.shrink_to_fit();
}

void WordPieces::Link(int32_t node) {
  const auto at = static_cast<size_t>(node);
  const int32_t parent = trie_.parent(node);
  if (parent == ByteTrie::kNone) return;
  if (id_[at] >= 0) {
    lists_.push_back({kId, id_[at]});
    pieces_[at] = static_cast<int32_t>(lists_.size()) - 1;
    fail_[at] = rest_root_;
    return;
  }
  int32_t pieces = pieces_[static_cast<size_t>(parent)];
  int32_t state = fail_[static_cast<size_t>(parent)];
  while (state != ByteTrie::kNone) {
    if (const int32_t next = trie_.Child(state, trie_.byte(node)); next != ByteTrie::kNone) {
      fail_[at] = next;
      pieces_[at] = pieces;
      return;
    }
    pieces = Joined(pieces, pieces_[static_cast<size_t>(state)]);
    state = fail_[static_cast<size_t>(state)];
  }
}

int32_t WordPieces::Joined(int32_t left, int32_t right) {
  if (left == kEmpty) return right;
  if (right == kEmpty) return left;
  lists_.push_back({left, right});
  return static_cast<int32_t>(lists_.size()) - 1;
}

void WordPieces::Append(int32_t list, std::vector<int32_t>& ids) const {
  if (list == kEmpty) return;
  if (const List& only = lists_[static_cast<size_t>(list)]; only.left == kId) {
    ids.push_back(only.right);
    return;
  }
  // Lists of long pieces nest as deep as the pieces are long: no recursion.
  std::vector<int32_t> open = {list};
  while (!open.empty()) {
    const List& top = lists_[static_cast<size_t>(open.back())];
    open.pop_back();
    if (top.left == kId) {
      ids.push_back(top.right);
    } else {
      open.push_back(top.right);
      open.push_back(top.left);
    }
  }
}

bool WordPieces::Cut(std::string_view word, std::vector<int32_t>& ids, size_t* steps) const {
  const size_t before = ids.size();
  int32_t state = first_root_;
  size_t followed = 0;
  const auto fall = [&] {
    ++followed;
    if (fail_[static_cast<size_t>(state)] == ByteTrie::kNone) return false;
    Append(pieces_[static_cast<size_t>(state)], ids);
    state = fail_[static_cast<size_t>(state)];
    return true;
  };
  bool covered = !word.empty();
  for (const char c : word) {
    int32_t next = ByteTrie::kNone;
    while (covered && (next = trie_.Child(state, static_cast<unsigned char>(c))) < 0) {
      covered = fall();
    }
    if (!covered) break;
    ++followed;
    state = next;
  }
  while (covered && state != rest_root_) covered = fall();
  if (!covered) ids.resize(before);
  if (steps != nullptr) *steps += followed;
  return covered;
}

}  // namespace graft::tokenizers
