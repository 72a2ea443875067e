#pragma once
/// The fourth stage of a tokenizer: puts special tokens around one text or two.
/// Source: huggingface/tokenizers, processors/.

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/json.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::tokenizers {

/// Thread safety: const.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  /// How many tokens are added to a text, or to a pair.
  virtual size_t num_added(bool pair) const = 0;
  /// The whole of one text, or of a pair; `b` is null for one text.
  virtual Encoding Assemble(const std::vector<int32_t>& a, const std::vector<int32_t>* b) const = 0;
  /// What it does, for the tokenizer's fingerprint.
  virtual Json Form() const = 0;
};
using PostProcessorPtr = std::unique_ptr<const PostProcessor>;

/// One piece of a template: a special token, or one of the texts.
struct TemplatePiece {
  int sequence = -1;  ///< 0 or 1: a text; -1: the special token `id`.
  int32_t id = 0;
  int32_t type_id = 0;
  bool operator==(const TemplatePiece&) const = default;
};

struct Templates {
  std::vector<TemplatePiece> single, pair;
  bool operator==(const Templates&) const = default;
};

/// A, and A B: no special tokens.
Templates PlainTemplates();

/// <s> A </s> and <s> A </s> </s> B </s>, without types.
Templates RobertaTemplates(int32_t cls, int32_t sep);

/// [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
Templates BertTemplates(int32_t cls, int32_t sep);

PostProcessorPtr TemplatePostProcessor(Templates templates);

}  // namespace graft::tokenizers
