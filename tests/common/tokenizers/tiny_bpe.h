#pragma once
/// Two tokenizer.json of byte pair encoding with a few merges: one as GPT-2's, one as Llama 2's.

#include <string>
#include <utility>
#include <vector>

#include "common/base/json.h"
#include "common/tokenizers/unicode/byte_alphabet.h"
#include "tests/common/tokenizers/tiny.h"

namespace graft::tokenizers {

/// A vocabulary in the order of its ids, and merges whose results are its last tokens.
struct TinyMerges {
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;

  void Merge(const std::string& left, const std::string& right) {
    merges.emplace_back(left, right);
    tokens.push_back(left + right);
  }
  int32_t Id(const std::string& token) const {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] == token) return static_cast<int32_t>(i);
    }
    ADD_FAILURE() << "no token " << token;
    return -1;
  }
  std::vector<int32_t> Ids(const std::vector<std::string>& names) const {
    std::vector<int32_t> ids;
    for (const std::string& name : names) ids.push_back(Id(name));
    return ids;
  }
  Json Model() const {
    Json vocab = Json::object();
    for (const std::string& token : tokens) vocab[token] = vocab.size();
    return {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
  }
};

/// All bytes, and \u0120 for the space as byte-level vocabularies spell it. The ids of bytes are
/// the bytes; "<|end|>" is special.
inline TinyMerges ByteLevelMerges() {
  TinyMerges tiny;
  for (int b = 0; b < 256; ++b) {
    tiny.tokens.push_back(unicode::Spelled(static_cast<unsigned char>(b)));
  }
  tiny.Merge("h", "e");
  tiny.Merge("l", "l");
  tiny.Merge("he", "ll");
  tiny.Merge("hell", "o");
  tiny.Merge("\u0120", "w");
  tiny.Merge("o", "r");
  tiny.Merge("\u0120w", "or");
  tiny.Merge("\u0120", "\u0120");
  tiny.Merge("\u00c3", "\u00a9");  // The bytes of U+00E9.
  tiny.Merge("1", "2");
  tiny.tokens.push_back("<|end|>");
  return tiny;
}

inline Json Special(const std::string& content, int32_t id, bool normalized = false) {
  return {{"id", id},        {"content", content}, {"single_word", false},    {"lstrip", false},
          {"rstrip", false}, {"special", true},    {"normalized", normalized}};
}

inline Json ByteLevelTokenizer() {
  const TinyMerges tiny = ByteLevelMerges();
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  return {{"version", "1.0"},
          {"added_tokens", {Special("<|end|>", tiny.Id("<|end|>"))}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", byte_level},
          {"decoder", byte_level},
          {"model", tiny.Model()}};
}

inline constexpr const char* kMark = "\u2581";
inline constexpr int32_t kTinyBos = 1, kTinyEos = 2;
/// The id of a byte's token.
inline int32_t ByteId(int byte) { return 3 + byte; }

inline TinyMerges MarkMerges() {
  TinyMerges tiny;
  tiny.tokens = {"<unk>", "<s>", "</s>"};
  for (int b = 0; b < 256; ++b) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(b));
    tiny.tokens.emplace_back(name);
  }
  for (const char* c : {kMark, "h", "e", "l", "o", "w", "r", "\u00e9", "."}) {
    tiny.tokens.emplace_back(c);
  }
  const std::string mark = kMark;
  tiny.Merge("h", "e");
  tiny.Merge("l", "l");
  tiny.Merge(mark, "he");
  tiny.Merge(mark + "he", "ll");
  tiny.Merge(mark + "hell", "o");
  tiny.Merge(mark, mark);
  tiny.Merge(mark, "w");
  return tiny;
}

/// With SentencePiece's marks put there by the normalizer, as Llama 2's.
inline Json MarkTokenizer() {
  const TinyMerges tiny = MarkMerges();
  Json added = Json::array();
  for (const char* token : {"<unk>", "<s>", "</s>"}) {
    added.push_back(Special(token, tiny.Id(token)));
  }
  Json model = tiny.Model();
  model.update({{"unk_token", "<unk>"}, {"fuse_unk", true}, {"byte_fallback", true}});
  const auto special = [](int type) {
    return Json{{"SpecialToken", {{"id", "<s>"}, {"type_id", type}}}};
  };
  const auto text = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const Json space = {{"String", " "}};
  return {
      {"version", "1.0"},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", kMark}},
          {{"type", "Replace"}, {"pattern", space}, {"content", kMark}}}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {special(0), text("A", 0)}},
        {"pair", {special(0), text("A", 0), special(1), text("B", 1)}},
        {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {kTinyBos}}, {"tokens", {"<s>"}}}}}}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {{{"type", "Replace"}, {"pattern", {{"String", kMark}}}, {"content", " "}},
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model", model}};
}

/// With the marks put there by Metaspace.
inline Json MetaspaceTokenizer(const char* scheme = "first", bool split = false) {
  Json json = MarkTokenizer();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", kMark}, {"prepend_scheme", scheme}, {"split", split}};
  return json;
}

/// The ids of a text, special tokens left out.
inline std::vector<int32_t> Plain(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.Encode(text, {.max_length = 1 << 20, .special_tokens = false}).ids;
}

}  // namespace graft::tokenizers
