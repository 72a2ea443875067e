/// The normalizers of byte pair encoding.
#include <utility>

#include "common/tokenizers/components/normalizer.h"
#include "common/tokenizers/components/replaced.h"
#include "common/tokenizers/unicode/normal_forms.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

class Nfc : public Normalizer {
 public:
  std::string Normalize(std::string_view text) const override { return unicode::Composed(text); }
  Json Form() const override { return {{"type", "NFC"}}; }
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string Normalize(std::string_view text) const override {
    return text.empty() ? "" : prefix_ + unicode::Valid(text);
  }
  Json Form() const override { return {{"type", "Prepend"}, {"prepend", prefix_}}; }

 private:
  const std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)) {}
  std::string Normalize(std::string_view text) const override {
    return Replaced(unicode::Valid(text), from_, to_);
  }
  Json Form() const override { return {{"type", "Replace"}, {"pattern", from_}, {"content", to_}}; }

 private:
  const std::string from_, to_;
};

}  // namespace

NormalizerPtr NfcNormalizer() { return std::make_unique<Nfc>(); }
NormalizerPtr PrependNormalizer(std::string prefix) {
  return std::make_unique<Prepend>(std::move(prefix));
}
NormalizerPtr ReplaceNormalizer(std::string from, std::string to) {
  return std::make_unique<Replace>(std::move(from), std::move(to));
}

}  // namespace graft::tokenizers
