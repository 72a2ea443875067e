#include "common/command_line/command_line.h"

#include <algorithm>
#include <sstream>

#include <CLI/CLI.hpp>

namespace graft::command_line {

Option Option::Required() { return Option(option_->required()); }

Option Option::Between(int least, int most) {
  return Option(option_->check(CLI::Range(least, most)));
}

Option Option::Between(double least, double most) {
  return Option(option_->check(CLI::Range(least, most)));
}

Option Option::OneOf(std::vector<std::string> values) {
  return Option(option_->check(CLI::IsMember(std::move(values))));
}

Option Option::SplitAt(char delimiter) { return Option(option_->delimiter(delimiter)); }

Option Option::InBytes() {
  return Option(option_->transform(CLI::AsSizeValue(/*kb_is_1000=*/false)));
}

Option Option::OrVariable(const std::string& variable) {
  return Option(option_->envname(variable));
}

Option Option::ShowDefault() { return Option(option_->capture_default_str()); }

Option Option::ShowDefault(const std::string& text) { return Option(option_->default_str(text)); }

bool Option::is_given() const { return option_->count() > 0; }

Status Option::Set(const std::string& value) {
  try {
    // An option without a value is a flag: it would take "--insecure false" as set.
    const bool is_flag = option_->get_items_expected_max() == 0;
    option_->add_result(is_flag ? option_->get_flag_value(option_->get_name(), value) : value);
    option_->run_callback();
  } catch (const CLI::Error& error) {
    return InvalidArgumentError(error.what());
  }
  return OkStatus();
}

Command Command::AddCommand(const std::string& name, const std::string& help) {
  return Command(command_->add_subcommand(name, help));
}

template <typename Value>
Option Command::Add(const std::string& name, Value& value, const std::string& help) {
  return Option(command_->add_option(name, value, help));
}
template Option Command::Add(const std::string&, std::string&, const std::string&);
template Option Command::Add(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::Add(const std::string&, int&, const std::string&);
template Option Command::Add(const std::string&, int64_t&, const std::string&);
template Option Command::Add(const std::string&, uint64_t&, const std::string&);
template Option Command::Add(const std::string&, double&, const std::string&);

Option Command::AddFlag(const std::string& name, bool& value, const std::string& help) {
  return Option(command_->add_flag(name, value, help));
}

Option Command::AddFunction(const std::string& name, std::function<void(const std::string&)> take,
                            const std::string& help) {
  return Option(command_->add_option_function<std::string>(name, take, help));
}

void Command::OnChosen(std::function<void()> action) { command_->callback(std::move(action)); }

std::vector<std::string> Command::CommandNames() const {
  std::vector<std::string> names;
  for (const CLI::App* command : command_->get_subcommands({}))
    names.push_back(command->get_name());
  return names;
}

CommandLine::CommandLine(const std::string& name, const std::string& version,
                         const std::string& description)
    : app_(std::make_unique<CLI::App>(description)) {
  app_->name(name);
  app_->set_version_flag("--version", version);
}

CommandLine::~CommandLine() = default;

void CommandLine::RequireCommand() {
  app_->require_subcommand(1);
  app_->fallthrough();
}

std::optional<CommandLine::Answer> CommandLine::Parse(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back.
  try {
    app_->parse(arguments);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const bool is_fault = app_->exit(error, out, err) != 0;
    return Answer{is_fault, error.what(), is_fault ? err.str() : out.str()};
  }
  return std::nullopt;
}

std::optional<CommandLine::Answer> CommandLine::Parse(int argc, const char* const* argv) {
  return Parse(std::vector<std::string>(argv + 1, argv + argc));
}

}  // namespace graft::command_line
