#include "client/cli/template_variables.h"

#include <utility>

#include "client/cli/context.h"
#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::cli {

command_line::Option AddTemplateVariables(command_line::Command command,
                                          std::vector<std::string>& pairs) {
  return command.Add(kTemplateVariableFlag, pairs,
                     "NAME=VALUE for the chat template, VALUE as JSON or else a text: "
                     "enable_thinking=false, style=short; again for more");
}

StatusOr<std::map<std::string, std::string>> ReadTemplateVariables(
    const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> variables;
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    const std::string shown = std::string(kTemplateVariableFlag) + " " + Printable(pair, 200);
    if (equals == std::string::npos || equals == 0)
      return UsageError(shown + ": use NAME=VALUE, as in enable_thinking=false");
    const std::string name = pair.substr(0, equals);
    std::string value = pair.substr(equals + 1);
    if (!ParseOrderedJson(value, name).ok()) value = Json(value).dump();
    if (!variables.emplace(name, std::move(value)).second)
      return UsageError(shown + ": " + Quoted(name) + " is given twice");
  }
  return variables;
}

}  // namespace graft::cli
