#include "worker/engine/tokenized.h"

namespace graft::worker::engine {

TokenizedSplit Tokenize(const std::vector<datasets::Example>& examples, bool pairs,
                        const tokenizers::Tokenizer& tokenizer, int max_length) {
  TokenizedSplit split;
  const tokenizers::EncodeOptions options{.max_length = max_length};
  for (const datasets::Example& example : examples) {
    const tokenizers::Encoding encoding =
        pairs ? tokenizer.EncodePair(example.text, example.text_pair, options)
              : tokenizer.Encode(example.text, options);
    split.ids.insert(split.ids.end(), encoding.ids.begin(), encoding.ids.end());
    split.type_ids.insert(split.type_ids.end(), encoding.type_ids.begin(), encoding.type_ids.end());
    split.offsets.push_back(static_cast<int64_t>(split.ids.size()));
    split.labels.push_back(example.label);
    if (encoding.truncated) ++split.num_truncated;
  }
  return split;
}

}  // namespace graft::worker::engine
