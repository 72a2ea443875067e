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
    for (const auto& [token, id] : vocabulary) by_id_.emplace(id, token);
  }

  bool Contains(const std::string& content) const { return place_.contains(content); }
  const AddedToken& At(const std::string& content) const { return tokens_[place_.at(content)]; }

  /// Adds a token that `file` states with an id, or gives its flags to one that is there already.
  Status AddListed(const std::string& file, const AddedToken& token) {
    if (token.content.empty()) return OkStatus();
    const std::string has = "the added token " + Quoted(token.content) + " has the id " +
                            std::to_string(token.id) + ", ";
    if (const auto known = vocabulary_.find(token.content);
        known != vocabulary_.end() && known->second != token.id) {
      return Bad(file, has + "but the vocabulary says " + std::to_string(known->second));
    }
    if (const auto taken = by_id_.find(token.id);
        taken != by_id_.end() && taken->second != token.content) {
      return Bad(file, has + "as " + Quoted(taken->second) + " has");
    }
    GRAFT_ASSIGN_OR_RETURN(const int32_t id, Add(file, token));
    if (id == token.id) return OkStatus();
    return Bad(file, has + "but transformers reads it as " + std::to_string(id) +
                         ", the next that is free; save the tokenizer again, so that its added "
                         "tokens are numbered without gaps");
  }

  /// Adds a token without an id; returns the one that it gets.
  StatusOr<int32_t> Add(const std::string& file, AddedToken token) {
    if (const auto found = place_.find(token.content); found != place_.end()) {
      token.id = tokens_[found->second].id;
      tokens_[found->second] = std::move(token);
      return tokens_[found->second].id;
    }
    const auto known = vocabulary_.find(token.content);
    token.id = known != vocabulary_.end() ? known->second : next_;
    if (const auto [taken, is_new] = by_id_.emplace(token.id, token.content);
        !is_new && taken->second != token.content) {
      return Bad(file, "transformers would give the added token " + Quoted(token.content) +
                           " the id " + std::to_string(token.id) + ", which " +
                           Quoted(taken->second) + " has");
    }
    next_ = std::max(next_, token.id + 1);
    place_[token.content] = tokens_.size();
    tokens_.push_back(std::move(token));
    return tokens_.back().id;
  }

  void MarkSpecial(const std::string& content) { tokens_[place_.at(content)].special = true; }
  std::vector<AddedToken> Take() { return std::move(tokens_); }

 private:
  const Vocabulary& vocabulary_;
  std::unordered_map<int32_t, std::string> by_id_;
  std::unordered_map<std::string, size_t> place_;
  std::vector<AddedToken> tokens_;
  int32_t next_;
};

/// transformers 5 reads tokenizer.json's added tokens only where tokenizer_config.json lists none.
Status CheckBothRead(const std::vector<AddedToken>& in_json, const Statements& statements) {
  if (!statements.bert || !statements.listed_by_config) return OkStatus();
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

StatusOr<std::vector<AddedToken>> ResolveAddedTokens(const std::vector<AddedToken>& in_json,
                                                     const Statements& statements,
                                                     const Vocabulary& vocabulary) {
  GRAFT_RETURN_IF_ERROR(CheckBothRead(in_json, statements));
  Added added(vocabulary);
  for (const AddedToken& token : in_json) GRAFT_RETURN_IF_ERROR(added.AddListed(kJson, token));
  for (const auto& [file, token] : statements.listed) {
    AddedToken with_flags = token;
    // Of a token that both list, tokenizer_config.json's flags count, else tokenizer.json's.
    if (!statements.listed_by_config && added.Contains(token.content)) {
      with_flags = added.At(token.content);
      with_flags.id = token.id;
    }
    GRAFT_RETURN_IF_ERROR(added.AddListed(file, with_flags));
  }
  for (const NamedToken& token : statements.named) {
    if (!added.Contains(token.content)) {
      AddedToken special = token.own.value_or(AddedToken());
      special.content = token.content;
      GRAFT_RETURN_IF_ERROR(added.Add("tokenizer_config.json", special).status());
    }
    added.MarkSpecial(token.content);
  }
  for (const AddedToken& token : statements.extra) {
    if (!added.Contains(token.content)) {
      GRAFT_RETURN_IF_ERROR(added.Add("tokenizer_config.json", token).status());
    }
    added.MarkSpecial(token.content);
  }
  for (const NamedToken& token : statements.unlisted) {
    if (added.Contains(token.content)) continue;
    return InvalidArgumentError(token.name + " is " + Quoted(token.content) +
                                ", which transformers 5 adds to the vocabulary and 4 does not; "
                                "take it out or save the tokenizer again");
  }
  return added.Take();
}

}  // namespace graft::tokenizers
