#include <algorithm>
#include <unordered_map>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/tokenizers/pipeline.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::tokenizers {
namespace {

constexpr size_t kShown = 60;
constexpr size_t kMaxProbes = 20'000;

std::string Differs(const std::string& what, const std::string& one, const std::string& other) {
  return what + " is " + one + " in one and " + other + " in the other";
}

std::optional<std::string> VocabularyDifference(const Tokenizer& a, const Tokenizer& b) {
  const std::map<std::string, int32_t> ids = a.Tokens();
  const std::map<std::string, int32_t> others = b.Tokens();
  for (const auto& [token, id] : ids) {
    const auto other = others.find(token);
    if (other != others.end() && other->second == id) continue;
    return Differs(Quoted(token, kShown), std::to_string(id),
                   other != others.end() ? std::to_string(other->second) : "unknown");
  }
  for (const auto& [token, id] : others) {
    if (!ids.contains(token)) {
      return Differs(Quoted(token, kShown), "unknown", std::to_string(id));
    }
  }
  return std::nullopt;
}

/// The first few ids of a text, as a reader can compare them.
std::string Shown(const std::vector<int32_t>& ids) {
  if (ids.size() == 1) return std::to_string(ids[0]);
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(ids.size(), 6); ++i) {
    text += (i > 0 ? " " : "") + std::to_string(ids[i]);
  }
  return text.empty() ? "nothing" : "(" + text + (ids.size() > 6 ? " ...)" : ")");
}

std::optional<std::string> TextDifference(const Tokenizer& a, const Tokenizer& b,
                                          const std::string& text) {
  const EncodeOptions inner{.max_length = 512, .special_tokens = false};
  const std::vector<int32_t> ids = a.Encode(text, inner).ids;
  const std::vector<int32_t> others = b.Encode(text, inner).ids;
  if (ids == others) return std::nullopt;
  return Differs(Quoted(text, kShown), Shown(ids), Shown(others));
}

/// Looks for a text that the two read differently: each token, also in large letters and with
/// others beside it, and what normalizers treat in their own ways.
std::optional<std::string> ProbedDifference(const Tokenizer& a, const Tokenizer& b) {
  std::vector<std::string> probes = {
      "Hello", "\u00e9", "re\u0301sume\u0301", "\u4e2d\u56fd", "a\u200bb",
      "a,b",   "a_b",    std::string(150, 'a')};
  for (const auto& [token, id] : a.Tokens()) {
    if (probes.size() > kMaxProbes) break;
    std::string large = token;
    for (char& c : large) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    for (const std::string& text : {token, large, "a" + token + "a", " " + token + " "}) {
      probes.push_back(text);
    }
  }
  for (const std::string& probe : probes) {
    if (auto difference = TextDifference(a, b, probe)) return difference;
  }
  return std::nullopt;
}

/// What the stages state, without the order in which added tokens are listed.
std::optional<std::string> StagesDifference(const Stages& a, const Stages& b) {
  if (a.post_processor->Form() != b.post_processor->Form()) {
    return "the special tokens around a text are others in one than in the other";
  }
  if (a.truncate_left != b.truncate_left) {
    return Differs("the side on which long texts are cut", a.truncate_left ? "left" : "right",
                   b.truncate_left ? "left" : "right");
  }
  if (a.gives_types != b.gives_types)
    return "the second text of a pair has a token type of its own in one only";
  std::unordered_map<std::string_view, const AddedToken*> others;
  for (const AddedToken& token : b.added_tokens) others[token.content] = &token;
  for (const AddedToken& token : a.added_tokens) {
    const auto other = others.find(token.content);
    if (other == others.end() || !other->second->SameFlags(token)) {
      return "the added token " + Quoted(token.content, kShown) +
             " is looked for otherwise in one than in the other";
    }
    others.erase(other);
  }
  if (!others.empty()) {
    return "the added token " + Quoted(others.begin()->first, kShown) + " is none in one";
  }
  const bool same_words = a.normalizer->Form() == b.normalizer->Form() &&
                          a.pre_tokenizer->Form() == b.pre_tokenizer->Form() &&
                          a.model->Form() == b.model->Form() &&
                          a.split_special_tokens == b.split_special_tokens;
  if (same_words) return std::nullopt;
  return "texts are cut into words by other rules in one than in the other";
}

}  // namespace

TokenizerFiles OverlaidFiles(const TokenizerFiles& base, const TokenizerFiles& own) {
  // A tokenizer.json of its own says all; a vocabulary of its own stands in for the base's.
  TokenizerFiles files = own.contains("tokenizer.json") ? TokenizerFiles() : base;
  if (own.contains("vocab.txt")) files.erase("tokenizer.json");
  const std::string config = "tokenizer_config.json";
  const std::string below = files.contains(config) ? files.at(config) : "";
  for (const auto& [name, text] : own) files[name] = text;
  if (below.empty() || !own.contains(config)) return files;
  StatusOr<Json> merged = ParseJson(below, config);
  const StatusOr<Json> above = ParseJson(own.at(config), config);
  // What can't be read stays as it is: LoadTokenizer says what is wrong with it.
  if (!merged.ok() || !above.ok() || !merged->is_object() || !above->is_object()) return files;
  merged->update(*above);
  files[config] = merged->dump();
  return files;
}

std::optional<std::string> FirstDifference(const Tokenizer& a, const Tokenizer& b) {
  if (a.fingerprint() == b.fingerprint()) return std::nullopt;
  if (auto difference = VocabularyDifference(a, b)) return difference;
  const auto* one = dynamic_cast<const Pipeline*>(&a);
  const auto* other = dynamic_cast<const Pipeline*>(&b);
  if (one == nullptr || other == nullptr) return ProbedDifference(a, b);
  const auto difference = StagesDifference(one->stages(), other->stages());
  if (!difference) return std::nullopt;
  if (auto text = ProbedDifference(a, b)) return text;
  return difference;
}

}  // namespace graft::tokenizers
