#include "common/tokenizers/reading/added.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "common/base/utf8.h"
#include "common/tokenizers/reading/fields.h"

namespace graft::tokenizers {
namespace {

constexpr const char* kJson = "tokenizer.json";

class Added {
 public:
  explicit Added(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), next_(static_cast<int32_t>(vocabulary.size())) {
    for (const auto& [token, id] : vocabulary) stated_.emplace(id, token);
    given_ = stated_;
  }

  bool Contains(const std::string& content) const { return place_.contains(content); }

  /// Adds a token that `file` lists, or gives its flags to one that is there already.
  Status AddListed(const std::string& file, const AddedToken& token) {
    if (token.content.empty()) return OkStatus();
    const std::string has = "the added token " + Quoted(token.content) + " has the id " +
                            std::to_string(token.id) + ", ";
    if (const auto known = vocabulary_.find(token.content);
        known != vocabulary_.end() && known->second != token.id) {
      return Bad(file, has + "but the vocabulary says " + std::to_string(known->second));
    }
    const auto stated = stated_.emplace(token.id, token.content).first;
    if (stated->second != token.content) {
      return Bad(file, has + "as " + Quoted(stated->second) + " has");
    }
    return Add(file, token);
  }

  /// Adds a token under the id that transformers gives it, or replaces the one of its content.
  Status Add(const std::string& file, AddedToken token) {
    if (const auto found = place_.find(token.content); found != place_.end()) {
      token.id = tokens_[found->second].id;
      tokens_[found->second] = std::move(token);
      return OkStatus();
    }
    const auto known = vocabulary_.find(token.content);
    token.id = known != vocabulary_.end() ? known->second : next_;
    if (const auto [taken, is_new] = given_.emplace(token.id, token.content);
        !is_new && taken->second != token.content) {
      return Bad(file, "transformers would give the added token " + Quoted(token.content) +
                           " the id " + std::to_string(token.id) + ", which " +
                           Quoted(taken->second) + " has");
    }
    next_ = std::max(next_, token.id + 1);
    place_[token.content] = tokens_.size();
    tokens_.push_back(std::move(token));
    return OkStatus();
  }

  void MarkSpecial(const std::string& content) { tokens_[place_.at(content)].special = true; }
  std::vector<AddedToken> Take() { return std::move(tokens_); }

 private:
  const Vocabulary& vocabulary_;
  std::unordered_map<int32_t, std::string> stated_;  ///< By the ids that files state.
  std::unordered_map<int32_t, std::string> given_;   ///< By the ids that they have.
  std::unordered_map<std::string, size_t> place_;
  std::vector<AddedToken> tokens_;
  int32_t next_;
};

/// All listed tokens in transformers 4's order: tokenizer.json's, then those that only other files
/// list; of added_tokens.json only those whose ids tokenizer.json leaves free.
std::vector<ListedToken> AllListed(const std::vector<AddedToken>& in_json,
                                   const Statements& statements) {
  std::unordered_map<std::string_view, const AddedToken*> by_content;
  std::unordered_set<int32_t> ids;
  std::vector<ListedToken> all;
  for (const AddedToken& token : in_json) {
    by_content[token.content] = &token;
    ids.insert(token.id);
    all.push_back({kJson, token});
  }
  for (const ListedToken& other : statements.listed) {
    const auto same = by_content.find(other.token.content);
    // Of a token that both list, tokenizer_config.json's flags count, else tokenizer.json's.
    if (!statements.listed_by_config &&
        (same != by_content.end() || ids.contains(other.token.id))) {
      continue;
    }
    all.push_back(other);
  }
  return all;
}

/// In all but the generic class transformers 5 numbers new tokens in the order of the ids that
/// files state.
Status CheckOrder(const std::vector<ListedToken>& listed, const Statements& statements,
                  const Vocabulary& vocabulary) {
  if (statements.classes.v5 == TokenizerClass::kGeneric) return OkStatus();
  std::unordered_map<std::string_view, int32_t> seen;
  int32_t last = -1;
  for (const auto& [file, token] : listed) {
    if (vocabulary.contains(token.content)) continue;
    const auto [before, is_new] = seen.emplace(token.content, token.id);
    if (is_new ? token.id > last : before->second == token.id) {
      last = std::max(last, token.id);
      continue;
    }
    return Bad(file, "the added token " + Quoted(token.content) + " has the id " +
                         std::to_string(token.id) +
                         ", which isn't in the order of the list, and transformers 4 and 5 number "
                         "such tokens differently; save the tokenizer again");
  }
  return OkStatus();
}

/// In all but the generic class transformers 5 reads tokenizer.json's added tokens only where
/// tokenizer_config.json lists none.
Status CheckBothRead(const std::vector<AddedToken>& in_json, const Statements& statements) {
  if (statements.classes.v5 == TokenizerClass::kGeneric || !statements.listed_by_config) {
    return OkStatus();
  }
  std::unordered_set<std::string_view> listed;
  for (const ListedToken& other : statements.listed) listed.insert(other.token.content);
  for (const AddedToken& token : in_json) {
    if (listed.contains(token.content)) continue;
    const auto same = [&](const auto& other) { return other.content == token.content; };
    AddedToken plain;
    const bool named = std::any_of(statements.named.begin(), statements.named.end(), same) ||
                       std::any_of(statements.extra.begin(), statements.extra.end(), same);
    if (named && token.SameFlags(plain)) continue;
    return Bad("tokenizer_config.json",
               "added_tokens_decoder lacks " + Quoted(token.content) +
                   ", which tokenizer.json adds, and transformers 4 and 5 read that differently; "
                   "save the tokenizer again");
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<AddedToken>> ReadListedTokens(const Json& added_tokens) {
  if (!added_tokens.is_null() && !added_tokens.is_array()) {
    return Bad(kJson, "added_tokens isn't a list");
  }
  std::vector<AddedToken> tokens;
  for (const Json& json : added_tokens) {
    if (!json.is_object() || !json.contains("id")) {
      return Bad(kJson, "an added token lacks its content or id");
    }
    GRAFT_ASSIGN_OR_RETURN(AddedToken token, ReadToken(kJson, json, TokenDefaults::kAllFalse));
    GRAFT_ASSIGN_OR_RETURN(token.id, ReadId(kJson, json["id"], token.content));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

StatusOr<std::vector<AddedToken>> ResolveAddedTokens(const std::vector<AddedToken>& in_json,
                                                     const Statements& statements,
                                                     const Vocabulary& vocabulary) {
  GRAFT_RETURN_IF_ERROR(CheckBothRead(in_json, statements));
  const std::vector<ListedToken> listed = AllListed(in_json, statements);
  GRAFT_RETURN_IF_ERROR(CheckOrder(listed, statements, vocabulary));
  Added added(vocabulary);
  for (const auto& [file, token] : listed) GRAFT_RETURN_IF_ERROR(added.AddListed(file, token));
  for (const NamedToken& token : statements.named) {
    if (!added.Contains(token.content)) {
      AddedToken special = token.own.value_or(AddedToken());
      special.content = token.content;
      GRAFT_RETURN_IF_ERROR(added.Add("tokenizer_config.json", special));
    }
    added.MarkSpecial(token.content);
  }
  for (const AddedToken& token : statements.extra) {
    if (!added.Contains(token.content)) {
      GRAFT_RETURN_IF_ERROR(added.Add("tokenizer_config.json", token));
    }
    added.MarkSpecial(token.content);
  }
  for (const NamedToken& token : statements.unlisted) {
    if (added.Contains(token.content)) continue;
    return InvalidArgumentError(token.name + " is " + Quoted(token.content) +
                                ", which transformers 5 adds to the vocabulary and 4 does not; "
                                "take it out or save the tokenizer again");
  }
  std::vector<AddedToken> tokens = added.Take();
  for (const NamedToken& token : statements.one_sided) {
    if (std::ranges::any_of(tokens, [&](const AddedToken& other) {
          return other.content == token.content && other.special;
        })) {
      continue;
    }
    return Bad("tokenizer_config.json", "it states no " + token.name +
                                            ", for which one of transformers 4 and 5 then takes " +
                                            Quoted(token.content) + "; state it");
  }
  return tokens;
}

}  // namespace graft::tokenizers
