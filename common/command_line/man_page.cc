#include "common/command_line/man_page.h"

#include <algorithm>
#include <string_view>

namespace graft::command_line {
namespace {

/// As roff shows it unchanged. A hyphen is a hyphen; a line that begins with a dot is no request.
std::string Roff(std::string_view text) {
  std::string out;
  bool at_start = true;
  for (const char c : text) {
    if (at_start && (c == '.' || c == '\'')) out += "\\&";
    at_start = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '\n') {
      out += "\n.br\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Bold(std::string_view text) { return "\\fB" + Roff(text) + "\\fR"; }
std::string Italic(std::string_view text) { return "\\fI" + Roff(text) + "\\fR"; }

std::string Joined(const std::vector<std::string>& texts, std::string_view between,
                   std::string (*form)(std::string_view)) {
  std::string all;
  for (const std::string& text : texts)
    all += (all.empty() ? "" : std::string(between)) + form(text);
  return all;
}

/// An option in the list of a command's: its names, what it takes, then the help.
std::string Item(const OptionDescription& option) {
  std::string item = ".TP\n";
  if (option.is_positional) {
    item += Italic(option.names.front());
  } else {
    item += Joined(option.names, ", ", Bold);
    if (option.takes_value && option.values.empty()) item += " " + Italic(option.kind);
    if (!option.values.empty()) item += " " + Joined(option.values, "|", Italic);
  }
  if (option.takes_several) item += " ...";
  item += "\n" + Roff(option.help) + "\n";
  if (option.is_positional && !option.values.empty())
    item += "One of " + Joined(option.values, ", ", Italic) + ".\n";
  if (option.is_required) item += "Needed.\n";
  if (!option.default_value.empty()) item += "Default: " + Roff(option.default_value) + ".\n";
  if (!option.variable.empty())
    item += "The environment's " + Bold(option.variable) + " stands in for it.\n";
  return item;
}

/// "jobs [OPTIONS] id"
std::string Usage(const CommandDescription& command) {
  std::string line = Bold(command.name) + " [" + Italic("OPTIONS") + "]";
  for (const OptionDescription& option : command.options) {
    if (!option.is_positional) continue;
    const std::string name = Italic(option.names.front()) + (option.takes_several ? " ..." : "");
    line += " " + (option.is_required ? name : "[" + name + "]");
  }
  return line;
}

std::string Items(const CommandDescription& command, bool with_help) {
  std::string all;
  for (const OptionDescription& option : command.options) {
    const bool is_help = option.names.back() == "--help";
    if (with_help || !is_help) all += Item(option);
  }
  return all;
}

}  // namespace

std::string ManPage(const Description& program) {
  const std::string& name = program.root.name;
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  // The description says "graft: what it does", maybe with more lines.
  std::string about = program.root.help;
  if (about.starts_with(name + ": ")) about.erase(0, name.size() + 2);
  const std::string first = about.substr(0, about.find('\n'));
  const std::string number = program.version.substr(program.version.rfind(' ') + 1);

  const std::string quote(1, '"');
  std::string page = ".TH " + Roff(upper) + " 1 " + quote + quote + " " + quote + "graft " +
                     Roff(number) + quote + " graft\n";
  page += ".SH NAME\n" + Roff(name) + " \\- " + Roff(first) + "\n.SH SYNOPSIS\n" +
          Usage(program.root) + (program.commands.empty() ? "" : " " + Italic("COMMAND") + " ...") +
          "\n";
  page += ".SH DESCRIPTION\n" + Roff(about) + "\n.SH OPTIONS\n";
  if (!program.commands.empty()) page += "These may also stand behind a command.\n";
  page += Items(program.root, true);
  if (program.commands.empty()) return page;
  page += ".SH COMMANDS\n";
  for (const CommandDescription& command : program.commands) {
    page += ".SS " + Roff(command.name) + "\n" + Roff(command.help) + "\n.PP\n" + Bold(name) + " " +
            Usage(command) + "\n" + Items(command, false);
  }
  return page;
}

}  // namespace graft::command_line
