#include "common/command_line/completions.h"

#include <algorithm>

namespace graft::command_line {
namespace {

std::string Joined(const std::vector<std::string>& words, std::string_view between = " ") {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : std::string(between)) + word;
  return all;
}

/// "graft-server" -> "graft_server", as functions may be called.
std::string Identifier(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<std::string> OptionNames(const CommandDescription& command) {
  std::vector<std::string> names;
  for (const OptionDescription& option : command.options) {
    if (!option.is_positional) names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

/// The values of its positionals that have known ones.
std::vector<std::string> PositionalValues(const CommandDescription& command) {
  std::vector<std::string> values;
  for (const OptionDescription& option : command.options) {
    if (option.is_positional)
      values.insert(values.end(), option.values.begin(), option.values.end());
  }
  return values;
}

/// Names of the options whose next word is a value, whatever it looks like.
std::vector<std::string> ValueNames(const CommandDescription& command) {
  std::vector<std::string> names;
  for (const OptionDescription& option : command.options) {
    if (!option.is_positional && option.takes_value)
      names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

std::vector<std::string> CommandNames(const Description& program) {
  std::vector<std::string> names;
  for (const CommandDescription& command : program.commands) names.push_back(command.name);
  return names;
}

/// The root's options are the commands' too.
std::vector<CommandDescription> WithRoot(const Description& program) {
  std::vector<CommandDescription> all = program.commands;
  for (CommandDescription& command : all) {
    const std::vector<std::string> own = OptionNames(command);
    for (const OptionDescription& option : program.root.options) {
      const bool is_own = std::find(own.begin(), own.end(), option.names.back()) != own.end();
      // Behind a command they mean nothing.
      const bool is_about_program = option.names.back() == "--version";
      if (!option.is_positional && !is_own && !is_about_program) command.options.push_back(option);
    }
  }
  return all;
}

// --- bash ----------------------------------------------------------------------------------------

/// What bash does in one command: the values of the option before, else names.
std::string BashCommand(const CommandDescription& command, const std::vector<std::string>& words) {
  std::string text = "      case $before in\n", without;
  for (const OptionDescription& option : command.options) {
    if (option.is_positional || !option.takes_value) continue;
    if (option.values.empty()) {
      without += (without.empty() ? "" : "|") + Joined(option.names, "|");
      continue;
    }
    text += "        " + Joined(option.names, "|") + ") words='" + Joined(option.values) + "' ;;\n";
  }
  if (!without.empty()) text += "        " + without + ") return ;;\n";
  const std::string names = Joined(OptionNames(command));
  text += "        *) if [[ $word == -* ]]; then words='" + names + "'; else words='" +
          Joined(words) + "'; fi ;;\n      esac\n";
  return text;
}

std::string Bash(const Description& program) {
  const std::string function = "_" + Identifier(program.root.name);
  std::string text = "# Completes the lines of " + program.root.name + " in bash.\n" + function +
                     R"(() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= words= i=0
  COMPREPLY=()
  # --name=value comes as three words.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${COMP_WORDS[COMP_CWORD-2]}
  fi
  while ((++i < COMP_CWORD)); do
    case ${COMP_WORDS[i]} in
      --) return ;;
)";
  const std::string skipped = Joined(ValueNames(program.root), "|");
  if (!skipped.empty()) {
    text += "      " + skipped +
            ")\n        ((++i))\n        if [[ ${COMP_WORDS[i]} == = ]]; then ((++i)); fi ;;\n";
  }
  text += R"(      -*|=) ;;
      *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; fi ;;
    esac
  done
)";
  if (program.commands.empty()) text += "  command=\n";  // What stands there is a value.
  text += "  case $command in\n";
  std::vector<std::string> words = CommandNames(program);
  if (words.empty()) words = OptionNames(program.root);
  text += "    '')\n" + BashCommand(program.root, words) + "      ;;\n";
  for (const CommandDescription& command : WithRoot(program)) {
    text += "    " + command.name + ")\n" + BashCommand(command, PositionalValues(command)) +
            "      ;;\n";
  }
  text += "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n";
  return text + "complete -o default -F " + function + " " + program.root.name + "\n";
}

// --- zsh -----------------------------------------------------------------------------------------

/// `text` for a place in single quotes, with a backslash before each of `special`.
std::string Escaped(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '\n') {
      out += ' ';
    } else {
      if (special.find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

/// The arguments of zsh's _arguments for a command's options and positionals.
std::string ZshArguments(const CommandDescription& command, std::string_view indent) {
  std::string text;
  for (const OptionDescription& option : command.options) {
    const std::string action = option.values.empty() ? "_files" : "(" + Joined(option.values) + ")";
    if (option.is_positional) {
      text += " \\\n" + std::string(indent) + "'" + (option.takes_several ? "*" : "") + ":" +
              Escaped(option.names.front(), ":\\") + ":" + action + "'";
      continue;
    }
    for (const std::string& name : option.names) {
      text += " \\\n" + std::string(indent) + "'" + (option.takes_several ? "*" : "") + name;
      if (option.takes_value) text += name.starts_with("--") ? "=" : "+";
      text += "[" + Escaped(option.help, "[]\\") + "]";
      if (option.takes_value) text += ":" + Escaped(option.kind, ":\\") + ":" + action;
      text += "'";
    }
  }
  return text;
}

std::string Zsh(const Description& program) {
  const std::string& name = program.root.name;
  const std::string function = "_" + Identifier(name);
  std::string text = "#compdef " + name + "\n# Completes the lines of " + name + " in zsh.\n" +
                     function + "() {\n";
  if (program.commands.empty()) {
    text += "  _arguments" + ZshArguments(program.root, "    ") + "\n}\n";
  } else {
    text +=
        "  local context state state_descr line\n  typeset -A opt_args\n  local -a commands\n"
        "  commands=(\n";
    for (const CommandDescription& command : program.commands)
      text += "    '" + command.name + ":" + Escaped(command.help, "") + "'\n";
    text += "  )\n  _arguments -C" + ZshArguments(program.root, "    ") +
            " \\\n    '1:command:->command' \\\n    '*::argument:->argument'\n"
            "  case $state in\n    command) _describe command commands ;;\n    argument)\n"
            "      case $line[1] in\n";
    for (const CommandDescription& command : WithRoot(program)) {
      text += "        " + command.name + ") _arguments" + ZshArguments(command, "          ") +
              " ;;\n";
    }
    text += "      esac ;;\n  esac\n}\n";
  }
  // Sourced it registers itself; as a file of fpath it is called.
  return text + "if [[ $funcstack[1] == " + function + " ]]; then\n  " + function +
         " \"$@\"\nelse\n  compdef " + function + " " + name + "\nfi\n";
}

// --- fish ----------------------------------------------------------------------------------------

std::string FishText(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

/// A line for each option of `command`; `condition` is when they are there, or empty.
std::string FishOptions(const std::string& program, const CommandDescription& command,
                        const std::string& condition) {
  std::string text;
  const std::string begin =
      "complete -c " + program + (condition.empty() ? "" : " -n '" + condition + "'");
  for (const OptionDescription& option : command.options) {
    const std::string values =
        option.values.empty() ? "" : " -a " + FishText(Joined(option.values));
    if (option.is_positional) {
      if (!values.empty()) text += begin + " -f" + values + "\n";
      continue;
    }
    text += begin;
    for (const std::string& name : option.names)
      text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (option.takes_value) text += values.empty() ? " -r" : " -x" + values;
    text += " -d " + FishText(option.help) + "\n";
  }
  return text;
}

std::string Fish(const Description& program) {
  const std::string& name = program.root.name;
  std::string text = "# Completes the lines of " + name + " in fish.\n";
  if (program.commands.empty()) return text + FishOptions(name, program.root, "");
  const std::string function = "__" + Identifier(name) + "_command_is";
  text += "function " + function + R"(
  set -l command ''
  set -l is_value 0
  for word in (commandline -opc)[2..-1]
    if test $is_value = 1
      set is_value 0
      continue
    end
    switch $word
)";
  const std::string skipped = Joined(ValueNames(program.root));
  if (!skipped.empty()) text += "      case " + skipped + "\n        set is_value 1\n";
  text += R"(      case '-*'
      case '*'
        set command $word
        break
    end
  end
  test "$command" = "$argv[1]"
end
)";
  const std::string at_root = function + " \"\"";
  for (const CommandDescription& command : program.commands) {
    text += "complete -c " + name + " -n '" + at_root + "' -f -a " + command.name + " -d " +
            FishText(command.help) + "\n";
  }
  text += FishOptions(name, program.root, at_root);
  for (const CommandDescription& command : WithRoot(program))
    text += FishOptions(name, command, function + " " + command.name);
  return text;
}

}  // namespace

std::vector<std::string> Shells() { return {"bash", "zsh", "fish"}; }

std::string Completions(const Description& program, std::string_view shell) {
  if (shell == "zsh") return Zsh(program);
  return shell == "fish" ? Fish(program) : Bash(program);
}

}  // namespace graft::command_line
