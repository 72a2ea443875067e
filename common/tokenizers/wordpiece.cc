#include "common/tokenizers/wordpiece.h"

#include <algorithm>
#include <map>

#include "common/base/json.h"
#include "common/base/sha256.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool IsAsciiPunctuation(unsigned char c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126);
}

/// A regex \w of the reference, near enough for its only use: the neighbours of single_word tokens.
bool IsWordChar(unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c >= 0x80; }

struct Match {
  size_t begin = 0, end = 0;
  const AddedToken* token = nullptr;
};

/// Leftmost-longest match of an added token from `from` on; strips swallow the white space beside
/// it.
Match FindAdded(std::string_view text, size_t from, size_t previous_end,
                const std::vector<AddedToken>& tokens) {
  for (size_t i = from; i < text.size(); ++i) {
    const AddedToken* best = nullptr;
    for (const AddedToken& token : tokens) {
      if (text.substr(i, token.content.size()) != token.content) continue;
      if (token.single_word) {
        const size_t end = i + token.content.size();
        if ((i > 0 && IsWordChar(static_cast<unsigned char>(text[i - 1]))) ||
            (end < text.size() && IsWordChar(static_cast<unsigned char>(text[end])))) {
          continue;
        }
      }
      if (best == nullptr || token.content.size() > best->content.size()) best = &token;
    }
    if (best == nullptr) continue;
    Match match{i, i + best->content.size(), best};
    const auto is_space = [&](size_t k) {
      return std::isspace(static_cast<unsigned char>(text[k])) != 0;
    };
    while (best->lstrip && match.begin > previous_end && is_space(match.begin - 1)) --match.begin;
    while (best->rstrip && match.end < text.size() && is_space(match.end)) ++match.end;
    return match;
  }
  return {};
}

}  // namespace

StatusOr<std::shared_ptr<const Tokenizer>> WordPieceTokenizer::Create(WordPieceOptions options) {
  if (!options.vocab.contains(options.unk_token)) {
    return InvalidArgumentError("the tokenizer's vocabulary lacks its unknown token " +
                                options.unk_token);
  }
  return std::shared_ptr<const Tokenizer>(new WordPieceTokenizer(std::move(options)));
}

WordPieceTokenizer::WordPieceTokenizer(WordPieceOptions options) : options_(std::move(options)) {
  unk_id_ = options_.vocab.at(options_.unk_token);
  for (const auto& [token, id] : options_.vocab) {
    vocab_size_ = std::max(vocab_size_, id + 1);
    max_token_bytes_ = std::max(max_token_bytes_, token.size());
  }
  for (AddedToken token : options_.added_tokens) {
    vocab_size_ = std::max(vocab_size_, token.id + 1);
    if (token.content.empty()) continue;
    if (token.normalized) {
      token.content = Normalize(token.content);
      if (!token.content.empty()) normalized_tokens_.push_back(std::move(token));
    } else {
      raw_tokens_.push_back(std::move(token));
    }
  }
  const BertNormalizerFlags& flags = options_.normalizer;
  Json added = Json::array();
  for (const AddedToken& t : options_.added_tokens) {
    added.push_back({t.content, t.id, t.single_word, t.lstrip, t.rstrip, t.normalized});
  }
  Json templates = Json::array();
  for (const auto* pieces : {&options_.single, &options_.pair}) {
    Json list = Json::array();
    for (const TemplatePiece& piece : *pieces)
      list.push_back({piece.sequence, piece.id, piece.type_id});
    templates.push_back(list);
  }
  fingerprint_ = Sha256Hex(Json{
      {"type", "WordPiece"},
      {"vocab", std::map<std::string, int32_t>(options_.vocab.begin(), options_.vocab.end())},
      {"unk", options_.unk_token},
      {"prefix", options_.prefix},
      {"max_word_chars", options_.max_word_chars},
      {"normalizer",
       {flags.clean_text, flags.handle_chinese_chars, flags.strip_accents, flags.lowercase}},
      {"added", added},
      {"templates", templates}}.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::map<std::string, int32_t> WordPieceTokenizer::Tokens() const {
  std::map<std::string, int32_t> tokens(options_.vocab.begin(), options_.vocab.end());
  for (const AddedToken& token : options_.added_tokens) tokens[token.content] = token.id;
  return tokens;
}

std::string WordPieceTokenizer::Normalize(std::string_view text) const {
  const BertNormalizerFlags& flags = options_.normalizer;
  if (IsAscii(text)) {
    std::string out(text);
    if (flags.clean_text) {
      std::erase_if(out, [](char c) {
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
      });
      for (char& c : out) {
        if (c == '\t' || c == '\n' || c == '\r') c = ' ';
      }
    }
    if (flags.lowercase) {
      for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      }
    }
    return out;
  }
  std::vector<uint32_t> codes = unicode::Decode(text);
  if (flags.clean_text) {
    std::erase_if(codes, unicode::IsRemovedByCleaning);
    for (uint32_t& code : codes) {
      if (unicode::BecomesSpace(code)) code = ' ';
    }
  }
  if (flags.handle_chinese_chars) {
    std::vector<uint32_t> spaced;
    spaced.reserve(codes.size());
    for (const uint32_t code : codes) {
      if (unicode::IsChinese(code)) {
        spaced.insert(spaced.end(), {' ', code, ' '});
      } else {
        spaced.push_back(code);
      }
    }
    codes = std::move(spaced);
  }
  if (flags.strip_accents) {
    codes = unicode::Decompose(codes);
    std::erase_if(codes, unicode::IsNonspacingMark);
  }
  std::string out;
  out.reserve(text.size() + 16);
  for (const uint32_t code : codes) {
    const std::span<const uint32_t> lower =
        flags.lowercase ? unicode::Lower(code) : std::span<const uint32_t>();
    if (lower.empty()) {
      unicode::Append(code, out);
    } else {
      for (const uint32_t part : lower) unicode::Append(part, out);
    }
  }
  return out;
}

void WordPieceTokenizer::AppendWord(std::string_view word, size_t chars,
                                    std::vector<int32_t>& ids) const {
  if (chars > options_.max_word_chars) {
    ids.push_back(unk_id_);
    return;
  }
  const size_t first_id = ids.size();
  std::string candidate;
  for (size_t begin = 0; begin < word.size();) {
    candidate.assign(begin > 0 ? options_.prefix : std::string());
    const size_t head = candidate.size();
    candidate.append(word.substr(begin, max_token_bytes_));
    // Longest first, cut between characters.
    for (;;) {
      const bool whole_char =
          head + (word.size() - begin) == candidate.size() ||
          (static_cast<unsigned char>(word[begin + candidate.size() - head]) & 0xC0U) != 0x80;
      if (whole_char) {
        if (const auto found = options_.vocab.find(candidate); found != options_.vocab.end()) {
          ids.push_back(found->second);
          break;
        }
      }
      candidate.pop_back();
      if (candidate.size() == head) {
        // A word with a remainder that matches nothing is one unknown token, whatever matched
        // before.
        ids.resize(first_id);
        ids.push_back(unk_id_);
        return;
      }
    }
    begin += candidate.size() - head;
  }
}

void WordPieceTokenizer::AppendNormalized(std::string_view text, size_t limit,
                                          std::vector<int32_t>& ids) const {
  // BertPreTokenizer: white space separates, punctuation stands alone.
  size_t word_begin = 0;
  size_t chars = 0;
  const auto flush = [&](size_t end) {
    if (end > word_begin) AppendWord(text.substr(word_begin, end - word_begin), chars, ids);
    chars = 0;
  };
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t length = 1;
    bool space = false;
    bool punctuation = false;
    if (lead < 0x80) {
      space = lead == ' ' || (lead >= 9 && lead <= 13);
      punctuation = IsAsciiPunctuation(lead);
    } else {
      length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
      const uint32_t code = unicode::Decode(text.substr(i, length)).front();
      space = unicode::IsWhitespace(code);
      punctuation = !space && unicode::IsPunctuation(code);
    }
    if (space || punctuation) {
      flush(i);
      if (punctuation) AppendWord(text.substr(i, length), 1, ids);
      word_begin = i + length;
      if (ids.size() >= limit) return;
    } else {
      ++chars;
    }
    i += length;
  }
  flush(text.size());
}

void WordPieceTokenizer::AppendPiece(std::string_view piece, size_t limit,
                                     std::vector<int32_t>& ids) const {
  const std::string text = Normalize(piece);
  size_t from = 0;
  while (!normalized_tokens_.empty()) {
    const Match match = FindAdded(text, from, from, normalized_tokens_);
    if (match.token == nullptr) break;
    AppendNormalized(std::string_view(text).substr(from, match.begin - from), limit, ids);
    ids.push_back(match.token->id);
    from = match.end;
  }
  AppendNormalized(std::string_view(text).substr(from), limit, ids);
}

std::vector<int32_t> WordPieceTokenizer::Ids(std::string_view text, size_t limit) const {
  std::vector<int32_t> ids;
  size_t from = 0;
  while (ids.size() < limit) {
    const Match match = FindAdded(text, from, from, raw_tokens_);
    if (match.token == nullptr) break;
    AppendPiece(text.substr(from, match.begin - from), limit, ids);
    ids.push_back(match.token->id);
    from = match.end;
  }
  if (ids.size() < limit) AppendPiece(text.substr(from), limit, ids);
  return ids;
}

Encoding WordPieceTokenizer::Assemble(const std::vector<TemplatePiece>& pieces,
                                      std::vector<int32_t> a, std::vector<int32_t> b) const {
  Encoding encoding;
  for (const TemplatePiece& piece : pieces) {
    if (piece.sequence < 0) {
      encoding.ids.push_back(piece.id);
    } else {
      const std::vector<int32_t>& ids = piece.sequence == 0 ? a : b;
      encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
    }
    encoding.type_ids.resize(encoding.ids.size(), piece.type_id);
  }
  return encoding;
}

namespace {

size_t NumSpecial(const std::vector<TemplatePiece>& pieces) {
  return static_cast<size_t>(
      std::count_if(pieces.begin(), pieces.end(), [](const auto& p) { return p.sequence < 0; }));
}

}  // namespace

Encoding WordPieceTokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  const auto max_length = static_cast<size_t>(std::max(options.max_length, 0));
  const size_t room = max_length - std::min(max_length, NumSpecial(options_.single));
  std::vector<int32_t> ids = Ids(text, room + 1);
  const bool truncated = ids.size() > room;
  if (truncated) ids.resize(room);
  Encoding encoding = Assemble(options_.single, std::move(ids), {});
  encoding.truncated = truncated;
  return encoding;
}

Encoding WordPieceTokenizer::EncodePair(std::string_view a, std::string_view b,
                                        const EncodeOptions& options) const {
  const auto max_length = static_cast<size_t>(std::max(options.max_length, 0));
  const size_t room = max_length - std::min(max_length, NumSpecial(options_.pair));
  std::vector<int32_t> first = Ids(a, SIZE_MAX);
  std::vector<int32_t> second = Ids(b, SIZE_MAX);
  // LongestFirst of the reference's utils/truncation.rs.
  const bool truncated = first.size() + second.size() > room;
  if (truncated) {
    size_t n1 = first.size();
    size_t n2 = second.size();
    const bool swapped = n1 > n2;
    if (swapped) std::swap(n1, n2);
    n2 = n1 > room ? n1 : std::max(n1, room - n1);
    if (n1 + n2 > room) {
      n1 = room / 2;
      n2 = n1 + room % 2;
    }
    if (swapped) std::swap(n1, n2);
    first.resize(std::min(first.size(), n1));
    second.resize(std::min(second.size(), n2));
  }
  Encoding encoding = Assemble(options_.pair, std::move(first), std::move(second));
  encoding.truncated = truncated;
  return encoding;
}

}  // namespace graft::tokenizers
