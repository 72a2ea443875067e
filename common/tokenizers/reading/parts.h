#pragma once
/// What the readers of tokenizer.json's components share.

#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/components/model.h"
#include "common/tokenizers/reading/fields.h"

namespace graft::tokenizers {

constexpr const char* kTokenizerJson = "tokenizer.json";
constexpr int kMaxParts = 32;  ///< Of a Sequence.
constexpr int kMaxDepth = 4;   ///< Of nested Sequences.

inline Json TypeOf(const Json& component) { return Field(component, "type"); }

/// The parts of a Sequence, read one by one by `read`.
template <typename Part, typename Read>
StatusOr<std::vector<Part>> ReadParts(const Json& parts, const char* what, const Read& read) {
  if (!parts.is_array() || parts.size() > kMaxParts) {
    return Bad(kTokenizerJson, std::string("the ") + what + "'s Sequence isn't a list of at most " +
                                   std::to_string(kMaxParts));
  }
  std::vector<Part> result;
  for (const Json& part : parts) {
    GRAFT_ASSIGN_OR_RETURN(Part made, read(part));
    result.push_back(std::move(made));
  }
  return result;
}

/// A model's vocab. Errors: InvalidArgument if there is none, or two tokens have one id.
StatusOr<Vocabulary> ReadVocab(const Json& model);

/// The text that a pattern looks for. `of` names whose pattern it is ("the normalizer Replace").
/// Errors: Unimplemented for a regular expression, quoting it; InvalidArgument if it is malformed.
StatusOr<std::string> ReadTextPattern(const Json& pattern, const std::string& of);

/// A flag that must be there. `of` as above. Errors: InvalidArgument.
StatusOr<bool> ReadNeededFlag(const Json& component, const char* name, const std::string& of);

}  // namespace graft::tokenizers
