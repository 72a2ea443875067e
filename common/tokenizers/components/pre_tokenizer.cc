#include "common/tokenizers/components/pre_tokenizer.h"

#include "common/tokenizers/unicode/char_class.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

/// What a character does to the words around it.
enum class Role {
  kSeparates,  ///< Belongs to no word.
  kAlone,      ///< Is a word of its own.
  kJoins,      ///< Goes on with the word before it, if that ended in a character of its kind.
  kJoinsOther  ///< The same, of another kind.
};

bool IsAsciiPunctuation(unsigned char c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126);
}

bool IsSpace(uint32_t code) {
  return code < 0x80 ? code == ' ' || (code >= 9 && code <= 13) : unicode::IsWhitespace(code);
}

bool IsPunctuation(uint32_t code) {
  return code < 0x80 ? IsAsciiPunctuation(static_cast<unsigned char>(code))
                     : unicode::IsPunctuation(code);
}

template <typename RoleOf>
bool SplitByRole(std::string_view text, const WordSink& sink, const RoleOf& role_of) {
  size_t begin = 0;
  Role open = Role::kSeparates;
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    const uint32_t code = unicode::First(text.substr(i), &length);
    const Role role = role_of(code);
    if (role != open || role == Role::kAlone) {
      if (open != Role::kSeparates && !sink(text.substr(begin, i - begin))) return false;
      begin = i;
      open = role;
    }
    i += length;
  }
  return open == Role::kSeparates || sink(text.substr(begin));
}

class Bert : public PreTokenizer {
 public:
  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    return SplitByRole(text, sink, [](uint32_t code) {
      return IsSpace(code) ? Role::kSeparates : IsPunctuation(code) ? Role::kAlone : Role::kJoins;
    });
  }
  Json Form() const override { return nullptr; }
};

class OnWhitespace : public PreTokenizer {
 public:
  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    return SplitByRole(
        text, sink, [](uint32_t code) { return IsSpace(code) ? Role::kSeparates : Role::kJoins; });
  }
  Json Form() const override { return {{"type", "WhitespaceSplit"}}; }
};

class Whitespace : public PreTokenizer {
 public:
  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    return SplitByRole(text, sink, [](uint32_t code) {
      if (unicode::IsWord(code)) return Role::kJoins;
      return IsSpace(code) ? Role::kSeparates : Role::kJoinsOther;
    });
  }
  Json Form() const override { return {{"type", "Whitespace"}}; }
};

class Punctuation : public PreTokenizer {
 public:
  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    return SplitByRole(text, sink, [](uint32_t code) {
      return IsPunctuation(code) ? Role::kAlone : Role::kJoins;
    });
  }
  Json Form() const override { return {{"type", "Punctuation"}}; }
};

class Digits : public PreTokenizer {
 public:
  explicit Digits(bool individual) : individual_(individual) {}
  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    const Role role = individual_ ? Role::kAlone : Role::kJoinsOther;
    return SplitByRole(
        text, sink, [=](uint32_t code) { return unicode::IsNumeric(code) ? role : Role::kJoins; });
  }
  Json Form() const override { return {{"type", "Digits"}, {"individual_digits", individual_}}; }

 private:
  const bool individual_;
};

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<PreTokenizerPtr> parts) : parts_(std::move(parts)) {}
  bool Split(std::string_view text, bool at_start, const WordSink& sink) const override {
    return text.empty() || SplitFrom(0, text, at_start, sink);
  }
  Json Form() const override {
    Json parts = Json::array();
    for (const PreTokenizerPtr& part : parts_) {
      const Json form = part->Form();
      parts.push_back(form.is_null() ? Json{{"type", "BertPreTokenizer"}} : form);
    }
    return {{"type", "Sequence"}, {"pretokenizers", parts}};
  }

 private:
  bool SplitFrom(size_t part, std::string_view text, bool at_start, const WordSink& sink) const {
    if (part == parts_.size()) return sink(text);
    return parts_[part]->Split(text, at_start, [&](std::string_view word) {
      return SplitFrom(part + 1, word, false, sink);
    });
  }
  const std::vector<PreTokenizerPtr> parts_;
};

}  // namespace

PreTokenizerPtr BertPreTokenizer() { return std::make_unique<Bert>(); }
PreTokenizerPtr WhitespaceSplit() { return std::make_unique<OnWhitespace>(); }
PreTokenizerPtr WhitespacePreTokenizer() { return std::make_unique<Whitespace>(); }
PreTokenizerPtr PunctuationPreTokenizer() { return std::make_unique<Punctuation>(); }
PreTokenizerPtr DigitsPreTokenizer(bool individual) { return std::make_unique<Digits>(individual); }
PreTokenizerPtr SequencePreTokenizer(std::vector<PreTokenizerPtr> parts) {
  return std::make_unique<Sequence>(std::move(parts));
}

}  // namespace graft::tokenizers
