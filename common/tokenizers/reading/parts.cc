#include "common/tokenizers/reading/parts.h"

#include <unordered_set>

#include "common/base/utf8.h"

namespace graft::tokenizers {

StatusOr<Vocabulary> ReadVocab(const Json& model) {
  if (!model.is_object() || !model.contains("vocab") || !model["vocab"].is_object()) {
    return Bad(kTokenizerJson, "the model has no vocab");
  }
  Vocabulary vocabulary;
  std::unordered_set<int32_t> taken;
  for (const auto& [token, id] : model["vocab"].items()) {
    GRAFT_ASSIGN_OR_RETURN(const int32_t number, ReadId(kTokenizerJson, id, token));
    if (!taken.insert(number).second) {
      return Bad(kTokenizerJson, "the token " + Quoted(token) + " has the id " +
                                     std::to_string(number) + ", as another has");
    }
    vocabulary[token] = number;
  }
  return vocabulary;
}

StatusOr<std::string> ReadTextPattern(const Json& pattern, const std::string& of) {
  if (const Json regex = Field(pattern, "Regex"); regex.is_string()) {
    return UnimplementedError(std::string(kTokenizerJson) + ": the pattern " +
                              Quoted(regex.get<std::string>(), 400) + " of " + of + " isn't built");
  }
  const Json text = Field(pattern, "String");
  if (!text.is_string() || text.get<std::string>().empty()) {
    return Bad(kTokenizerJson, "the pattern of " + of + " isn't a text");
  }
  return text.get<std::string>();
}

StatusOr<bool> ReadNeededFlag(const Json& component, const char* name, const std::string& of) {
  const Json flag = Field(component, name);
  if (!flag.is_boolean()) {
    return Bad(kTokenizerJson, std::string(name) + " of " + of + " must be true or false");
  }
  return flag.get<bool>();
}

}  // namespace graft::tokenizers
