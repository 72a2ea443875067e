#include "common/artifacts/chat.h"

#include "common/base/utf8.h"
#include "common/templates/chat_files.h"
#include "common/templates/chat_template.h"

namespace graft::artifacts {

StatusOr<std::optional<std::string>> OwnChatTemplate(const Files& files,
                                                     const ImportRequest& request,
                                                     std::vector<std::string>& warnings) {
  GRAFT_ASSIGN_OR_RETURN(const templates::ChatFiles own, templates::ChatFilesAmong(files));
  if (own.templates.empty()) return std::optional<std::string>();
  GRAFT_ASSIGN_OR_RETURN(std::string source, templates::ChooseTemplate(own, /*has_tools=*/false));
  if (const auto parsed = templates::ChatTemplate::Parse(source); !parsed.ok()) {
    return InvalidArgumentError(
               "the folder's chat template can't be read: " + parsed.status().message() +
               "; without it (chat_template.jinja, or chat_template in "
               "tokenizer_config.json) the base's is used")
        .At("file", "CHAT_TEMPLATE");
  }
  for (const auto& [name, other] : own.templates) {
    if (name == "default" || other == source) continue;
    warnings.push_back("of the folder's chat templates the default is kept; " + Quoted(name, 60) +
                       " is left aside");
  }
  GRAFT_ASSIGN_OR_RETURN(const templates::ChatFiles base,
                         templates::ChatFilesAmong(request.tokenizer_files));
  for (const auto& [name, token] : own.special_tokens) {
    const auto of_base = base.special_tokens.find(name);
    const std::string theirs = of_base != base.special_tokens.end() ? of_base->second : "";
    if (token == theirs || source.find(name) == std::string::npos) continue;
    warnings.push_back("the folder's chat template writes " + name + ", which is " +
                       Quoted(token, 60) + " in the folder and " +
                       (theirs.empty() ? "nothing" : Quoted(theirs, 60)) +
                       " in the base; the base's is written");
  }
  return std::optional<std::string>(std::move(source));
}

}  // namespace graft::artifacts
