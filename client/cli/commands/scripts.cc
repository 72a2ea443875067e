#include "client/cli/commands/commands.h"
#include "common/command_line/completions.h"
#include "common/command_line/man_page.h"

namespace graft::cli {

void AddScriptCommands(Command root, ScriptFlags& flags) {
  root.AddCommand("completions", "Print a script that completes graft's lines in a shell")
      .Add("shell", flags.shell, "For which shell")
      .Required()
      .OneOf(command_line::Shells());
  root.AddCommand("man", "Print graft's manual page").OnChosen([&flags] {
    flags.wants_manual = true;
  });
}

std::string ScriptText(const command_line::CommandLine& line, const ScriptFlags& flags) {
  if (!flags.shell.empty()) return command_line::Completions(line.Describe(), flags.shell);
  return flags.wants_manual ? command_line::ManPage(line.Describe()) : "";
}

}  // namespace graft::cli
