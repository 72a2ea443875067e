#include "common/tokenizers/pipeline.h"

#include <algorithm>
#include <unordered_map>

#include "common/base/sha256.h"
#include "common/base/utf8.h"

namespace graft::tokenizers {

StatusOr<std::shared_ptr<const Tokenizer>> Pipeline::Create(Stages stages) {
  std::vector<AddedToken> raw;
  std::vector<AddedToken> normalized;
  std::unordered_map<std::string, std::string> patterns;
  size_t bytes = 0;
  for (AddedToken token : stages.added_tokens) {
    if (token.content.empty() || (token.special && stages.split_special_tokens)) continue;
    if (!token.normalized) {
      bytes += token.content.size();
      raw.push_back(std::move(token));
      continue;
    }
    const std::string content = token.content;
    token.content = stages.normalizer->Normalize(content);
    bytes += token.content.size();
    if (token.content.empty()) {
      return InvalidArgumentError("of the added token " + Quoted(content) +
                                  " nothing is left once it is normalized");
    }
    if (const auto [same, is_new] = patterns.emplace(token.content, content); !is_new) {
      return InvalidArgumentError("the added tokens " + Quoted(same->second) + " and " +
                                  Quoted(content) + " are the same once they are normalized");
    }
    normalized.push_back(std::move(token));
  }
  if (bytes > ByteTrie::kMaxBytes) {
    return InvalidArgumentError("the added tokens have " + std::to_string(bytes) +
                                " bytes together, graft reads at most " +
                                std::to_string(ByteTrie::kMaxBytes));
  }
  return std::shared_ptr<const Tokenizer>(
      new Pipeline(std::move(stages), std::move(raw), std::move(normalized)));
}

Pipeline::Pipeline(Stages stages, std::vector<AddedToken> raw, std::vector<AddedToken> normalized)
    : stages_(std::move(stages)),
      raw_tokens_(std::move(raw)),
      normalized_tokens_(std::move(normalized)) {
  for (const auto& [token, id] : stages_.model->vocabulary()) {
    vocab_size_ = std::max(vocab_size_, id + 1);
  }
  for (const AddedToken& token : stages_.added_tokens) {
    vocab_size_ = std::max(vocab_size_, token.id + 1);
  }
  tokens_.resize(static_cast<size_t>(vocab_size_));
  special_.resize(static_cast<size_t>(vocab_size_));
  for (const auto& [token, id] : stages_.model->vocabulary()) {
    tokens_[static_cast<size_t>(id)] = token;
  }
  for (const AddedToken& token : stages_.added_tokens) {
    tokens_[static_cast<size_t>(token.id)] = token.content;
    special_[static_cast<size_t>(token.id)] = token.special;
  }
  fingerprint_ = Fingerprint();
}

std::string Pipeline::Fingerprint() const {
  Json added = Json::array();
  for (const AddedToken& t : stages_.added_tokens) {
    added.push_back({t.content, t.id, t.single_word, t.lstrip, t.rstrip, t.normalized});
    if (stages_.split_special_tokens) added.back().push_back(t.special);
  }
  Json form = stages_.model->Form();
  form["normalizer"] = stages_.normalizer->Form();
  form["added"] = added;
  form["templates"] = stages_.post_processor->Form();
  // What every tokenizer did before there was a choice isn't said: the hashes of versions trained
  // then hold this hash.
  if (const Json split = stages_.pre_tokenizer->Form(); !split.is_null()) {
    form["pre_tokenizer"] = split;
  }
  if (stages_.split_special_tokens) form["split_special_tokens"] = true;
  if (stages_.truncate_left) form["truncation_side"] = "left";
  if (!stages_.gives_types) form["token_type_ids"] = false;
  return Sha256Hex(form.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::map<std::string, int32_t> Pipeline::Tokens() const {
  const Vocabulary& vocabulary = stages_.model->vocabulary();
  std::map<std::string, int32_t> tokens(vocabulary.begin(), vocabulary.end());
  for (const AddedToken& token : stages_.added_tokens) tokens[token.content] = token.id;
  return tokens;
}

void Pipeline::AppendPiece(std::string_view piece, bool at_start, size_t limit,
                           std::vector<int32_t>& ids) const {
  const auto append_word = [&](std::string_view word) {
    stages_.model->Append(word, ids);
    return ids.size() < limit;
  };
  const WordSink sink = append_word;
  const std::string normalized = stages_.normalizer->Normalize(piece);
  normalized_tokens_.Split(
      normalized,
      [&](std::string_view text) {
        if (ids.size() >= limit) return;
        stages_.pre_tokenizer->Split(text, at_start && text.data() == normalized.data(), sink);
      },
      [&](int32_t id, std::string_view) { ids.push_back(id); });
}

std::vector<int32_t> Pipeline::Ids(std::string_view text, size_t limit) const {
  std::vector<int32_t> ids;
  raw_tokens_.Split(
      text,
      [&](std::string_view piece) {
        if (ids.size() < limit) AppendPiece(piece, piece.data() == text.data(), limit, ids);
      },
      [&](int32_t id, std::string_view) { ids.push_back(id); });
  return ids;
}

void Pipeline::Truncate(size_t count, std::vector<int32_t>& ids) const {
  if (ids.size() <= count) return;
  if (stages_.truncate_left) {
    ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(count));
  } else {
    ids.resize(count);
  }
}

namespace {

/// How many ids of texts fit.
size_t Room(const EncodeOptions& options, const PostProcessor& processor, bool pair) {
  const auto max_length = static_cast<size_t>(std::max(options.max_length, 0));
  if (!options.special_tokens) return max_length;
  return max_length - std::min(max_length, processor.num_added(pair));
}

}  // namespace

Encoding Pipeline::Encode(std::string_view text, const EncodeOptions& options) const {
  const size_t room = Room(options, *stages_.post_processor, false);
  std::vector<int32_t> ids = Ids(text, stages_.truncate_left ? SIZE_MAX : room + 1);
  const bool truncated = ids.size() > room;
  Truncate(room, ids);
  Encoding encoding;
  if (options.special_tokens) {
    encoding = stages_.post_processor->Assemble(ids, nullptr);
  } else {
    encoding.type_ids.assign(ids.size(), 0);
    encoding.ids = std::move(ids);
  }
  if (!stages_.gives_types) encoding.type_ids.assign(encoding.ids.size(), 0);
  encoding.truncated = truncated;
  return encoding;
}

Encoding Pipeline::EncodePair(std::string_view a, std::string_view b,
                              const EncodeOptions& options) const {
  const size_t room = Room(options, *stages_.post_processor, true);
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
    Truncate(n1, first);
    Truncate(n2, second);
  }
  Encoding encoding;
  if (options.special_tokens) {
    encoding = stages_.post_processor->Assemble(first, &second);
  } else {
    encoding.type_ids.assign(first.size(), 0);
    encoding.type_ids.resize(first.size() + second.size(), 1);
    encoding.ids = std::move(first);
    encoding.ids.insert(encoding.ids.end(), second.begin(), second.end());
  }
  if (!stages_.gives_types) encoding.type_ids.assign(encoding.ids.size(), 0);
  encoding.truncated = truncated;
  return encoding;
}

}  // namespace graft::tokenizers
