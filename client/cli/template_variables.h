#pragma once
/// The flag --template-variable of submit, generate and chat: NAME=VALUE for the chat template.

#include <map>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/command_line/command_line.h"

namespace graft::cli {

inline constexpr const char* kTemplateVariableFlag = "--template-variable";

/// Adds the flag to a command, which `pairs` must outlive.
command_line::Option AddTemplateVariables(command_line::Command command,
                                          std::vector<std::string>& pairs);

/// Returns each variable's value as JSON, by name: as it was written if that is JSON, and else as
/// the text that it is, so that a word needs no quotes.
/// Errors: a usage error if a pair isn't of the form NAME=VALUE or a name is given twice.
StatusOr<std::map<std::string, std::string>> ReadTemplateVariables(
    const std::vector<std::string>& pairs);

}  // namespace graft::cli
