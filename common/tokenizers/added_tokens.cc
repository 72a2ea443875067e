#include "common/tokenizers/added_tokens.h"

#include <algorithm>

#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

std::vector<std::string> Contents(const std::vector<AddedToken>& tokens) {
  std::vector<std::string> contents;
  for (const AddedToken& token : tokens) contents.push_back(token.content);
  return contents;
}

bool WordBefore(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t begin = at - 1;
  while (begin > 0 && at - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80) {
    --begin;
  }
  return unicode::IsWord(unicode::First(text.substr(begin, at - begin)));
}

bool WordAfter(std::string_view text, size_t at) {
  return at < text.size() && unicode::IsWord(unicode::First(text.substr(at)));
}

/// Where the white space that ends at `at` begins.
size_t SpaceBefore(std::string_view text, size_t at) {
  while (at > 0) {
    size_t begin = at - 1;
    while (begin > 0 && at - begin < 4 &&
           (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80) {
      --begin;
    }
    if (!unicode::IsWhitespace(unicode::First(text.substr(begin, at - begin)))) break;
    at = begin;
  }
  return at;
}

/// Where the white space that begins at `at` ends.
size_t SpaceAfter(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t length = 1;
    if (!unicode::IsWhitespace(unicode::First(text.substr(at), &length))) break;
    at += length;
  }
  return at;
}

}  // namespace

AddedTokenSplitter::AddedTokenSplitter(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), matcher_(Contents(tokens_)) {}

void AddedTokenSplitter::Split(std::string_view text,
                               const std::function<void(std::string_view)>& part,
                               const std::function<void(int32_t, std::string_view)>& token) const {
  size_t from = 0;
  if (!tokens_.empty()) {
    for (const LongestMatch::Match& match : matcher_.Find(text)) {
      const AddedToken& found = tokens_[match.pattern];
      // One that doesn't stand alone isn't replaced by a shorter one in its place.
      if (found.single_word && (WordBefore(text, match.begin) || WordAfter(text, match.end))) {
        continue;
      }
      const size_t begin =
          std::max(found.lstrip ? SpaceBefore(text, match.begin) : match.begin, from);
      if (begin > from) part(text.substr(from, begin - from));
      from = found.rstrip ? SpaceAfter(text, match.end) : match.end;
      token(found.id, text.substr(begin, from - begin));
    }
  }
  part(text.substr(from));
}

}  // namespace graft::tokenizers
