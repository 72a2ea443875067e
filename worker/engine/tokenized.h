#pragma once
/// A dataset as token ids: what training and evaluation walk over.

#include <cstdint>
#include <string>
#include <vector>

#include "common/datasets/dataset.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::worker::engine {

/// Examples of one split, end to end. Plain host memory; const after Tokenize.
struct TokenizedSplit {
  std::vector<int32_t> ids, type_ids;  ///< [tokens]
  std::vector<int64_t> offsets = {0};  ///< [examples + 1]
  std::vector<int32_t> labels;         ///< [examples], -1 if unlabelled
  int64_t num_truncated = 0;           ///< Examples that reached max_length.

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  int64_t length(int64_t i) const { return offsets[i + 1] - offsets[i]; }
  int64_t num_tokens() const { return offsets.back(); }
};

/// Encodes every example, cut to `max_length` tokens.
TokenizedSplit Tokenize(const std::vector<datasets::Example>& examples, bool pairs,
                        const tokenizers::Tokenizer& tokenizer, int max_length);

}  // namespace graft::worker::engine
