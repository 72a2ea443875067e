#include "common/tokenizers/components/normalizer.h"

#include <algorithm>

#include "common/tokenizers/unicode/normal_forms.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void LowerAscii(std::string& text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
}

std::string Encode(const std::vector<uint32_t>& codes, bool lowercase) {
  std::string out;
  out.reserve(codes.size() + codes.size() / 2);
  for (const uint32_t code : codes) {
    const std::span<const uint32_t> lower =
        lowercase ? unicode::Lower(code) : std::span<const uint32_t>();
    if (lower.empty()) {
      unicode::Append(code, out);
    } else {
      for (const uint32_t part : lower) unicode::Append(part, out);
    }
  }
  return out;
}

class Bert : public Normalizer {
 public:
  explicit Bert(const BertNormalizerFlags& flags) : flags_(flags) {}

  std::string Normalize(std::string_view text) const override {
    if (IsAscii(text)) return NormalizeAscii(text);
    std::vector<uint32_t> codes = unicode::Decode(text);
    if (flags_.clean_text) {
      std::erase_if(codes, unicode::IsRemovedByCleaning);
      for (uint32_t& code : codes) {
        if (unicode::BecomesSpace(code)) code = ' ';
      }
    }
    if (flags_.handle_chinese_chars) codes = WithSpaces(codes);
    if (flags_.strip_accents) {
      codes = unicode::Decompose(codes);
      std::erase_if(codes, unicode::IsNonspacingMark);
    }
    return Encode(codes, flags_.lowercase);
  }

  /// Four flags rather than an object: versions trained before there were other normalizers are
  /// named by it.
  Json Form() const override {
    return {flags_.clean_text, flags_.handle_chinese_chars, flags_.strip_accents, flags_.lowercase};
  }

 private:
  std::string NormalizeAscii(std::string_view text) const {
    std::string out(text);
    if (flags_.clean_text) {
      std::erase_if(out, [](char c) {
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
      });
      for (char& c : out) {
        if (c == '\t' || c == '\n' || c == '\r') c = ' ';
      }
    }
    if (flags_.lowercase) LowerAscii(out);
    return out;
  }

  /// With white space around each Chinese character.
  static std::vector<uint32_t> WithSpaces(const std::vector<uint32_t>& codes) {
    std::vector<uint32_t> spaced;
    spaced.reserve(codes.size());
    for (const uint32_t code : codes) {
      if (unicode::IsChinese(code)) {
        spaced.insert(spaced.end(), {' ', code, ' '});
      } else {
        spaced.push_back(code);
      }
    }
    return spaced;
  }

  const BertNormalizerFlags flags_;
};

class Lowercase : public Normalizer {
 public:
  std::string Normalize(std::string_view text) const override {
    if (!IsAscii(text)) return Encode(unicode::Decode(text), true);
    std::string out(text);
    LowerAscii(out);
    return out;
  }
  Json Form() const override { return {{"type", "Lowercase"}}; }
};

class Nfd : public Normalizer {
 public:
  std::string Normalize(std::string_view text) const override {
    if (IsAscii(text)) return std::string(text);
    return Encode(unicode::Decompose(unicode::Decode(text)), false);
  }
  Json Form() const override { return {{"type", "NFD"}}; }
};

class StripAccents : public Normalizer {
 public:
  std::string Normalize(std::string_view text) const override {
    if (IsAscii(text)) return std::string(text);
    std::vector<uint32_t> codes = unicode::Decode(text);
    std::erase_if(codes, unicode::IsMark);
    return Encode(codes, false);
  }
  Json Form() const override { return {{"type", "StripAccents"}}; }
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(std::vector<NormalizerPtr> parts) : parts_(std::move(parts)) {}
  std::string Normalize(std::string_view text) const override {
    std::string out = unicode::Valid(text);
    for (const NormalizerPtr& part : parts_) out = part->Normalize(out);
    return out;
  }
  Json Form() const override {
    Json parts = Json::array();
    for (const NormalizerPtr& part : parts_) parts.push_back(part->Form());
    return {{"type", "Sequence"}, {"normalizers", parts}};
  }

 private:
  const std::vector<NormalizerPtr> parts_;
};

}  // namespace

NormalizerPtr BertNormalizer(const BertNormalizerFlags& flags) {
  return std::make_unique<Bert>(flags);
}
NormalizerPtr LowercaseNormalizer() { return std::make_unique<Lowercase>(); }
NormalizerPtr NfdNormalizer() { return std::make_unique<Nfd>(); }
NormalizerPtr StripAccentsNormalizer() { return std::make_unique<StripAccents>(); }
NormalizerPtr SequenceNormalizer(std::vector<NormalizerPtr> parts) {
  return std::make_unique<Sequence>(std::move(parts));
}

}  // namespace graft::tokenizers
