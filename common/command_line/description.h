#pragma once
/// What a command line is made of, for all that is written from it: completions, manual pages.
/// CommandLine::Describe makes it of the definitions themselves.

#include <string>
#include <vector>

namespace graft::command_line {

struct OptionDescription {
  std::vector<std::string> names;  ///< "-h", "--help"; of a positional its one name.
  bool is_positional = false;
  std::string help;
  bool takes_value = false;    ///< Else it is a switch.
  bool takes_several = false;  ///< Values, or times that it is named.
  bool is_required = false;
  std::string kind;                 ///< "TEXT", "SIZE", "INT in [0 - 10]"; empty for a switch.
  std::vector<std::string> values;  ///< Those there are, or the usual ones.
  std::string default_value;        ///< Empty: help shows none.
  std::string variable;             ///< Of the environment; empty: none.
};

struct CommandDescription {
  std::string name;
  std::string help;
  std::vector<OptionDescription> options;  ///< And positionals, in the order of the definitions.
};

/// Commands have none of their own below them. If there are any, the root's options may also stand
/// behind them.
struct Description {
  std::string version;
  CommandDescription root;
  std::vector<CommandDescription> commands;
};

}  // namespace graft::command_line
