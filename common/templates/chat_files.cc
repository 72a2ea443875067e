#include "common/templates/chat_files.h"

#include <set>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::templates {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kTemplate = kChatTemplateFile.data();
constexpr const char* kMap = "special_tokens_map.json";
constexpr const char* kMore = "additional_chat_templates";
constexpr size_t kMaxTemplate = size_t{8} << 20;
constexpr size_t kMaxJson = size_t{64} << 20;
constexpr size_t kMaxTemplates = 100;

Status Bad(const char* file, const std::string& what) {
  return InvalidArgumentError(std::string(file) + ": " + what).At("chat_template");
}

bool IsThere(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

using Texts = std::map<std::string, std::string>;

/// The object that a file holds, an empty one if the file isn't there.
StatusOr<Json> ReadObject(const Texts& texts, const char* name) {
  const auto text = texts.find(name);
  if (text == texts.end()) return Json::object();
  GRAFT_ASSIGN_OR_RETURN(Json json, ParseJson(text->second, name));
  if (!json.is_object()) return Bad(name, "must be an object");
  return json;
}

/// The templates of additional_chat_templates.
Status ReadMore(const fs::path& folder, ChatFiles& files) {
  std::error_code error;
  std::set<fs::path> more;
  for (fs::directory_iterator at(folder / kMore, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() == ".jinja") more.insert(at->path());
  }
  if (more.size() > kMaxTemplates) return Bad(kMore, "holds too many templates");
  for (const fs::path& path : more) {
    GRAFT_ASSIGN_OR_RETURN(files.templates[path.stem().string()], ReadFile(path, kMaxTemplate));
  }
  return OkStatus();
}

Status ReadTemplatesOf(const Json& config, ChatFiles& files) {
  const Json given = config.value("chat_template", Json());
  if (given.is_null()) return OkStatus();
  if (given.is_string()) {
    files.templates["default"] = given.get<std::string>();
    return OkStatus();
  }
  if (!given.is_array()) return Bad(kConfig, "chat_template must be a text or a list");
  for (const Json& item : given) {
    const Json name = item.is_object() ? item.value("name", Json()) : Json();
    const Json source = item.is_object() ? item.value("template", Json()) : Json();
    if (!name.is_string() || !source.is_string())
      return Bad(kConfig, "each item of chat_template has a name and a template, both texts");
    files.templates[name.get<std::string>()] = source.get<std::string>();
  }
  return OkStatus();
}

/// Fields x_token: a text, or an object whose content is one. A null takes the token away.
Status ReadTokens(const char* file, const Json& json, ChatFiles& files) {
  for (const auto& item : json.items()) {
    const std::string& name = item.key();
    if (!name.ends_with("_token")) continue;
    const Json& token = item.value();
    if (token.is_string()) {
      files.special_tokens[name] = token.get<std::string>();
    } else if (token.is_object()) {
      const Json content = token.value("content", Json());
      if (!content.is_string()) return Bad(file, "the content of " + Quoted(name) + " is no text");
      files.special_tokens[name] = content.get<std::string>();
    } else if (token.is_null()) {
      files.special_tokens.erase(name);
    }  // Others, such as add_bos_token, name no token.
  }
  const Json extra = json.value("extra_special_tokens", Json());
  if (!extra.is_object()) return OkStatus();
  for (const auto& item : extra.items()) {
    if (item.value().is_string()) files.special_tokens[item.key()] = item.value();
  }
  return OkStatus();
}

/// `files` has the templates of additional_chat_templates already. Source: transformers 5.23,
/// PreTrainedTokenizerBase._from_pretrained.
StatusOr<ChatFiles> Read(const Texts& texts, ChatFiles files) {
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObject(texts, kConfig));
  if (const auto own = texts.find(kTemplate); own != texts.end())
    files.templates.emplace("default", own->second);
  if (files.templates.empty()) GRAFT_RETURN_IF_ERROR(ReadTemplatesOf(config, files));
  GRAFT_RETURN_IF_ERROR(ReadTokens(kConfig, config, files));
  if (!config.contains("added_tokens_decoder")) {
    GRAFT_ASSIGN_OR_RETURN(const Json map, ReadObject(texts, kMap));
    GRAFT_RETURN_IF_ERROR(ReadTokens(kMap, map, files));
  }
  return files;
}

}  // namespace

StatusOr<ChatFiles> ReadChatFiles(const fs::path& folder) {
  Texts texts;
  for (const auto& [name, limit] :
       {std::pair{kConfig, kMaxJson}, {kMap, kMaxJson}, {kTemplate, kMaxTemplate}}) {
    if (!IsThere(folder / name)) continue;
    GRAFT_ASSIGN_OR_RETURN(texts[name], ReadFile(folder / name, limit));
  }
  ChatFiles more;
  GRAFT_RETURN_IF_ERROR(ReadMore(folder, more));
  return Read(texts, std::move(more));
}

StatusOr<ChatFiles> ChatFilesAmong(const Texts& files) { return Read(files, {}); }

ChatFiles Overlaid(const ChatFiles& base, const ChatFiles& own) {
  ChatFiles files = base;
  if (!own.templates.empty()) files.templates = own.templates;
  for (const auto& [name, token] : own.special_tokens) files.special_tokens[name] = token;
  return files;
}

StatusOr<std::string> ChooseTemplate(const ChatFiles& files, bool has_tools) {
  if (files.templates.empty()) {
    return NotFoundError(
        "there is no chat template: neither chat_template.jinja nor tokenizer_config.json has one");
  }
  const auto for_tools = files.templates.find("tool_use");
  if (has_tools && for_tools != files.templates.end()) return for_tools->second;
  const auto found = files.templates.find("default");
  if (found != files.templates.end()) return found->second;
  std::string names;
  for (const auto& named : files.templates)
    names += (names.empty() ? "" : ", ") + Quoted(named.first);
  return InvalidArgumentError("of the chat templates " + names + " none is the default")
      .At("chat_template");
}

}  // namespace graft::templates
