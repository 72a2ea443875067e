#pragma once
/// The third stage of a tokenizer: a word's token ids.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/json.h"

namespace graft::tokenizers {

using Vocabulary = std::unordered_map<std::string, int32_t>;  ///< Ids by token.

/// Thread safety: const.
class Model {
 public:
  virtual ~Model() = default;
  /// Appends the ids of one word's tokens; none if the model leaves out all that it doesn't know.
  /// Requires: the word isn't empty and is valid UTF-8.
  virtual void Append(std::string_view word, std::vector<int32_t>& ids) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  /// What it does, for the tokenizer's fingerprint: an object with a "type".
  virtual Json Form() const = 0;
};
using ModelPtr = std::unique_ptr<const Model>;

}  // namespace graft::tokenizers
