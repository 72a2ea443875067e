#pragma once
/// A tokenizer of a few tokens whose decoder takes a text's first space away, as Llama's does.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/tokenizers/tokenizer.h"

namespace graft::server::rest {

/// Decodes; nothing else is asked of it. Thread safety: const methods only.
class PiecesTokenizer final : public tokenizers::Tokenizer {
 public:
  static constexpr int32_t kCat = 0;    ///< " cat"
  static constexpr int32_t kS = 1;      ///< "s"
  static constexpr int32_t kEnd = 2;    ///< "</s>", special.
  static constexpr int32_t kHalf = 3;   ///< The first bytes of an emoji,
  static constexpr int32_t kOther = 4;  ///< and its last ones.

  std::string Decode(const std::vector<int32_t>& ids,
                     const tokenizers::DecodeOptions& options) const override {
    const std::vector<std::string> pieces = {" cat", "s", options.special_tokens ? "</s>" : "",
                                             "\xf0\x9f", "\x98\x80"};
    std::string text;
    for (const int32_t id : ids) {
      if (id >= 0 && static_cast<size_t>(id) < pieces.size()) text += pieces[id];
    }
    return text.starts_with(' ') ? text.substr(1) : text;
  }
  tokenizers::Encoding Encode(std::string_view, const tokenizers::EncodeOptions&) const override {
    return {};
  }
  tokenizers::Encoding EncodePair(std::string_view, std::string_view,
                                  const tokenizers::EncodeOptions&) const override {
    return {};
  }
  StatusOr<std::vector<tokenizers::LocatedToken>> Locate(std::string_view) const override {
    return UnimplementedError("it only decodes");
  }
  std::optional<std::string> PartOfCharacters(int32_t id) const override {
    if (id == kHalf) return "\xf0\x9f";
    if (id == kOther) return "\x98\x80";
    return std::nullopt;
  }
  std::unique_ptr<tokenizers::DecodeStream> StartDecode(
      const tokenizers::DecodeOptions&) const override {
    return nullptr;
  }
  std::optional<tokenizers::SpecialToken> Special(const std::string&) const override {
    return std::nullopt;
  }
  int32_t vocab_size() const override { return 5; }
  const std::string& fingerprint() const override { return fingerprint_; }
  std::map<std::string, int32_t> Tokens() const override { return {}; }

 private:
  const std::string fingerprint_;
};

}  // namespace graft::server::rest
