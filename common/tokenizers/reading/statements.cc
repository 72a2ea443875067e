#include "common/tokenizers/reading/statements.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/utf8.h"
#include "common/tokenizers/reading/fields.h"

namespace graft::tokenizers {
namespace {

constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kMap = "special_tokens_map.json";
constexpr const char* kAdded = "added_tokens.json";
constexpr const char* kNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

template <typename List>
bool IsIn(const List& list, const std::string& name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

/// An object, empty if there is no such file.
StatusOr<Json> ReadObject(const TokenizerFiles& files, const char* name) {
  const auto found = files.find(name);
  if (found == files.end()) return Json::object();
  GRAFT_ASSIGN_OR_RETURN(Json json, ParseJson(found->second, name));
  if (!json.is_object()) return InvalidArgumentError(std::string(name) + " isn't an object");
  return json;
}

/// A flag that transformers itself takes only as true or false.
Status ReadStrictFlag(const Json& config, const char* name, bool* flag) {
  const auto found = config.find(name);
  if (found == config.end()) return OkStatus();
  if (!found->is_boolean()) return Bad(kConfig, std::string(name) + " must be true or false");
  *flag = found->get<bool>();
  return OkStatus();
}

/// A setting that some classes have, and leave to their default where it is null.
Status ReadSetting(const Json& config, const char* name, Stated* out) {
  const auto found = config.find(name);
  if (found == config.end()) return OkStatus();
  if (!found->is_boolean() && !found->is_null()) {
    return Bad(kConfig, std::string(name) + " must be true, false or null");
  }
  *out = found->is_null() ? Stated::kNull : *found == true ? Stated::kTrue : Stated::kFalse;
  return OkStatus();
}

Status ReadSettings(const Json& config, Statements* out) {
  GRAFT_RETURN_IF_ERROR(ReadSetting(config, "add_prefix_space", &out->add_prefix_space));
  GRAFT_RETURN_IF_ERROR(ReadSetting(config, "legacy", &out->legacy));
  GRAFT_RETURN_IF_ERROR(ReadSetting(config, "add_bos_token", &out->add_bos_token));
  GRAFT_RETURN_IF_ERROR(ReadSetting(config, "add_eos_token", &out->add_eos_token));
  Stated fixes = Stated::kAbsent;
  GRAFT_RETURN_IF_ERROR(ReadSetting(config, "fix_mistral_regex", &fixes));
  if (fixes != Stated::kTrue) return OkStatus();
  return NotBuilt(kConfig, "setting fix_mistral_regex", true);
}

Status ReadFlags(const Json& config, Statements* out) {
  GRAFT_RETURN_IF_ERROR(ReadStrictFlag(config, "split_special_tokens", &out->split_special_tokens));
  if (const auto side = config.find("truncation_side"); side != config.end()) {
    if (*side != "left" && *side != "right") {
      return Bad(kConfig, "truncation_side must be \"left\" or \"right\"");
    }
    out->truncate_left = *side == "left";
  }
  if (const Json names = Field(config, "model_input_names"); !names.is_null()) {
    if (!names.is_array()) return Bad(kConfig, "model_input_names must be a list");
    out->gives_types = std::find(names.begin(), names.end(), "token_type_ids") != names.end();
  }
  if (const Json inputs = Field(config, "init_inputs"); !inputs.is_null() && !inputs.empty()) {
    return Bad(kConfig, "init_inputs isn't empty; save the tokenizer again without them");
  }
  const Json versions = Field(config, "fast_tokenizer_files");
  for (const Json& file : versions) {
    if (file != "tokenizer.json") {
      return Bad(kConfig,
                 "fast_tokenizer_files names other files for some versions of transformers; keep "
                 "tokenizer.json alone");
    }
  }
  if (!out->classes.bert()) return ReadSettings(config, out);
  BertNormalizerFlags& flags = out->normalizer;
  GRAFT_RETURN_IF_ERROR(ReadStrictFlag(config, "do_lower_case", &flags.lowercase));
  GRAFT_RETURN_IF_ERROR(
      ReadStrictFlag(config, "tokenize_chinese_chars", &flags.handle_chinese_chars));
  flags.strip_accents = flags.lowercase;
  return ReadFlag(kConfig, config, "strip_accents", &flags.strip_accents);
}

/// A special token: a text, or an object with its flags; nothing if it is null.
StatusOr<std::optional<NamedToken>> ReadNamed(const char* file, const std::string& name,
                                              const Json& value) {
  if (value.is_null()) return std::optional<NamedToken>();
  if (value.is_string()) return std::optional(NamedToken{name, value.get<std::string>(), {}});
  // tokenizer_config.json marks such objects.
  if (!value.is_object() || (file == kConfig && Field(value, "__type") != "AddedToken")) {
    return Bad(file, Printable(name) + " must be a text");
  }
  StatusOr<AddedToken> token =
      ReadToken(file, value, file == kMap ? TokenDefaults::kSpecial : TokenDefaults::kNormalized);
  if (!token.ok()) return Bad(file, Printable(name) + ": " + token.status().message());
  if (file == kMap) token->special = true;
  const std::string content = token->content;
  return std::optional(NamedToken{name, content, *std::move(token)});
}

AddedToken AsSpecial(const NamedToken& token) {
  if (token.own) {
    AddedToken own = *token.own;
    own.special = true;
    return own;
  }
  AddedToken plain;
  plain.content = token.content;
  plain.special = true;
  return plain;
}

/// Reads a list of special tokens, or an object of them by name.
StatusOr<std::vector<AddedToken>> ReadExtra(const char* file, const std::string& name,
                                            const Json& value) {
  std::vector<AddedToken> tokens;
  if (!value.is_null() && !value.is_array() && !value.is_object()) {
    return Bad(file, name + " must be a list");
  }
  for (const auto& item : value.items()) {
    GRAFT_ASSIGN_OR_RETURN(const auto token, ReadNamed(file, name, item.value()));
    if (!token) return Bad(file, name + " holds a null");
    tokens.push_back(AsSpecial(*token));
  }
  return tokens;
}

bool Contains(const std::vector<AddedToken>& tokens, const std::string& content) {
  return std::any_of(tokens.begin(), tokens.end(),
                     [&](const AddedToken& token) { return token.content == content; });
}

/// The further special tokens of one file, under whichever of their two names.
StatusOr<std::vector<AddedToken>> ReadAllExtra(const char* file, const Json& json) {
  GRAFT_ASSIGN_OR_RETURN(
      std::vector<AddedToken> extra,
      ReadExtra(file, "extra_special_tokens", Field(json, "extra_special_tokens")));
  GRAFT_ASSIGN_OR_RETURN(
      const std::vector<AddedToken> additional,
      ReadExtra(file, "additional_special_tokens", Field(json, "additional_special_tokens")));
  if (extra.empty()) return additional;
  for (const AddedToken& token : additional) {
    if (!Contains(extra, token.content)) {
      return Bad(file, "additional_special_tokens has " + Quoted(token.content) +
                           ", extra_special_tokens has not, and transformers 4 and 5 read that "
                           "differently; keep one of the two");
    }
  }
  return extra;
}

using NamedTokens = std::map<std::string, std::optional<NamedToken>>;

/// Adds a file's named tokens to those of the files read before it.
Status ReadNames(const char* file, const Json& json, NamedTokens* named, Statements* out) {
  for (const auto& [key, value] : json.items()) {
    if (IsIn(kNames, key)) {
      GRAFT_ASSIGN_OR_RETURN((*named)[key], ReadNamed(file, key, value));
    } else if (key.ends_with("_token") && (value.is_string() || value.is_object())) {
      GRAFT_ASSIGN_OR_RETURN(const auto token, ReadNamed(file, key, value));
      out->unlisted.push_back({std::string(file) + ": " + Printable(key), token->content, {}});
    }
  }
  const Json specific = Field(json, "model_specific_special_tokens");
  for (const auto& item : specific.items()) {
    GRAFT_ASSIGN_OR_RETURN(const auto token, ReadNamed(file, item.key(), item.value()));
    if (!token) continue;
    out->unlisted.push_back({std::string(file) + ": " + Printable(item.key()), token->content, {}});
  }
  return OkStatus();
}

Status ReadDecoder(const Json& decoder, Statements* out) {
  if (!decoder.is_object()) return Bad(kConfig, "added_tokens_decoder isn't an object");
  std::map<int32_t, AddedToken> by_id;
  for (const auto& [key, value] : decoder.items()) {
    GRAFT_ASSIGN_OR_RETURN(AddedToken token, ReadToken(kConfig, value, TokenDefaults::kNormalized));
    const bool is_number =
        !key.empty() && key.size() < 9 &&
        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    GRAFT_ASSIGN_OR_RETURN(
        token.id, ReadId(kConfig, is_number ? Json(std::stoul(key)) : Json(key), token.content));
    by_id[token.id] = token;
  }
  for (const auto& [id, token] : by_id) {
    out->listed.push_back({"tokenizer_config.json's added_tokens_decoder", token});
  }
  out->listed_by_config = true;
  return OkStatus();
}

Status ReadAddedTokens(const Json& added, const std::set<std::string>& special, Statements* out) {
  std::map<int32_t, AddedToken> by_id;
  for (const auto& [content, id] : added.items()) {
    AddedToken token;
    token.content = content;
    GRAFT_ASSIGN_OR_RETURN(token.id, ReadId(kAdded, id, content));
    token.special = special.contains(content);
    token.normalized = !token.special;
    if (const auto [same, is_new] = by_id.emplace(token.id, token); !is_new) {
      return Bad(kAdded, Quoted(content) + " has the id " + std::to_string(token.id) + ", as " +
                             Quoted(same->second.content) + " has");
    }
  }
  for (const auto& [id, token] : by_id) out->listed.push_back({kAdded, token});
  return OkStatus();
}

/// special_tokens_map.json and added_tokens.json, which count only where tokenizer_config.json has
/// no added_tokens_decoder.
Status ReadOldFiles(const TokenizerFiles& files, NamedTokens* named, Statements* out) {
  GRAFT_ASSIGN_OR_RETURN(const Json map, ReadObject(files, kMap));
  GRAFT_RETURN_IF_ERROR(ReadNames(kMap, map, named, out));
  std::set<std::string> special;
  for (const auto& [name, token] : *named) {
    if (token) special.insert(token->content);
  }
  for (const AddedToken& token : out->extra) special.insert(token.content);
  const bool config_has_extra = !out->extra.empty();
  GRAFT_ASSIGN_OR_RETURN(const std::vector<AddedToken> extra, ReadAllExtra(kMap, map));
  for (const AddedToken& token : extra) {
    if (Contains(out->extra, token.content)) continue;
    if (map.contains("extra_special_tokens")) special.insert(token.content);
    if (config_has_extra) {
      return Bad(kMap, "its special token " + Quoted(token.content) +
                           " isn't among tokenizer_config.json's, and transformers 4 and 5 read "
                           "that differently; save the tokenizer again");
    }
    out->extra.push_back(token);
  }
  GRAFT_ASSIGN_OR_RETURN(const Json added, ReadObject(files, kAdded));
  return ReadAddedTokens(added, special, out);
}

}  // namespace

const NamedToken* Statements::Named(const std::string& name) const {
  const auto found = std::find_if(named.begin(), named.end(),
                                  [&](const NamedToken& token) { return token.name == name; });
  return found != named.end() ? &*found : nullptr;
}

StatusOr<Statements> ReadStatements(const TokenizerFiles& files, bool is_word_piece) {
  Statements out;
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObject(files, kConfig));
  GRAFT_ASSIGN_OR_RETURN(const Json model, ReadObject(files, "config.json"));
  GRAFT_ASSIGN_OR_RETURN(out.classes, ResolveClasses(files, config, model, is_word_piece));
  out.gives_types = out.classes.types;
  GRAFT_RETURN_IF_ERROR(ReadFlags(config, &out));
  // No class reads a tokenizer.json that stands alone: nothing is set but what it says.
  if (!files.contains(kConfig) && !files.contains("config.json")) {
    out.add_prefix_space = Stated::kNull;
  }
  // DistilBERT has no token types: what is said of them is no difference.
  if (Field(model, "model_type") == "distilbert") out.gives_types = true;
  NamedTokens named;
  GRAFT_RETURN_IF_ERROR(ReadNames(kConfig, config, &named, &out));
  GRAFT_ASSIGN_OR_RETURN(out.extra, ReadAllExtra(kConfig, config));
  if (const auto decoder = config.find("added_tokens_decoder"); decoder != config.end()) {
    GRAFT_RETURN_IF_ERROR(ReadDecoder(*decoder, &out));
  } else {
    GRAFT_RETURN_IF_ERROR(ReadOldFiles(files, &named, &out));
  }
  const auto& in_v4 = DefaultTokens(out.classes.v4);
  const auto& in_v5 = DefaultTokens(out.classes.v5);
  for (const char* name : kNames) {
    if (const auto stated = named.find(name); stated != named.end()) {
      if (stated->second) out.named.push_back(*stated->second);
      continue;
    }
    const bool only_v5 = !in_v4.contains(name);
    const auto& defaults = only_v5 ? in_v5 : in_v4;
    const auto found = defaults.find(name);
    if (found == defaults.end()) continue;
    auto& tokens = only_v5 || !in_v5.contains(name) ? out.one_sided : out.named;
    tokens.push_back({name, found->second, {}});
  }
  return out;
}

}  // namespace graft::tokenizers
