#pragma once
/// Tokens that are found in a text as they stand, before it is cut into words.
/// Source: huggingface/tokenizers, tokenizer/added_vocabulary.rs.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizers/matching/longest_match.h"

namespace graft::tokenizers {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  ///< Only where no word character is beside it.
  bool lstrip = false;       ///< With the white space before it.
  bool rstrip = false;       ///< With the white space after it.
  bool normalized = false;   ///< Matched in normalized text rather than in the text as given.
  bool special = false;      ///< Left out when ids become text.
  bool SameFlags(const AddedToken& other) const {
    return single_word == other.single_word && lstrip == other.lstrip && rstrip == other.rstrip &&
           normalized == other.normalized;
  }
};

/// Cuts texts at added tokens, in time that doesn't depend on how many there are.
/// Thread safety: const after creation.
class AddedTokenSplitter {
 public:
  /// `tokens[i].content` is what is looked for: normalized already where that is asked.
  explicit AddedTokenSplitter(std::vector<AddedToken> tokens);

  /// Gives the parts of `text` between tokens to `part`, which may be empty, and the tokens' ids,
  /// with the part of `text` that each takes, to `token`, in order.
  void Split(std::string_view text, const std::function<void(std::string_view)>& part,
             const std::function<void(int32_t id, std::string_view found)>& token) const;

 private:
  const std::vector<AddedToken> tokens_;
  const LongestMatch matcher_;
};

}  // namespace graft::tokenizers
