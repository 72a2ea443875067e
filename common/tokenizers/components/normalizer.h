#pragma once
/// The first stage of a tokenizer: what is done to a text before it is cut into words.
/// Source: huggingface/tokenizers, normalizers/.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"

namespace graft::tokenizers {

/// Thread safety: const.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Any bytes are safe; invalid UTF-8 reads as U+FFFD. Returns valid UTF-8.
  virtual std::string Normalize(std::string_view text) const = 0;
  /// What it does, for the tokenizer's fingerprint: two that differ here differ in some text.
  virtual Json Form() const = 0;
};
using NormalizerPtr = std::unique_ptr<const Normalizer>;

/// As BERT's config names them. Accents are taken away before letters are made small.
struct BertNormalizerFlags {
  bool clean_text = true, handle_chinese_chars = true, strip_accents = true, lowercase = true;
};

NormalizerPtr BertNormalizer(const BertNormalizerFlags& flags);
NormalizerPtr LowercaseNormalizer();
NormalizerPtr NfdNormalizer();           ///< Canonical decomposition.
NormalizerPtr StripAccentsNormalizer();  ///< Takes combining marks away; decomposes nothing.
NormalizerPtr NfcNormalizer();           ///< Canonical composition.
/// Puts `prefix` in front of any text that isn't empty.
NormalizerPtr PrependNormalizer(std::string prefix);
/// Puts `to` in place of each `from`. Requires: `from` isn't empty.
NormalizerPtr ReplaceNormalizer(std::string from, std::string to);
NormalizerPtr SequenceNormalizer(std::vector<NormalizerPtr> parts);

}  // namespace graft::tokenizers
