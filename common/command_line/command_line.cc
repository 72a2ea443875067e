#include "common/command_line/command_line.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <CLI/CLI.hpp>

#include "common/base/utf8.h"
#include "common/command_line/completions.h"
#include "common/command_line/man_page.h"

namespace graft::command_line {
namespace {

// CLI11 takes "[a,b]" as a list of a and b wherever an option has several values, and "++" as the
// end of a command. Texts of users may look so: they get a mark at their end, which no argument can
// hold, until CLI11 has taken them.
constexpr char kMark = '\0';

std::string Marked(std::string text) {
  if (text.ends_with(']') || text == "++") text += kMark;
  return text;
}

std::string Unmarked(std::string text) {
  std::erase(text, kMark);
  return text;
}

CLI::Option* TakeLiterally(CLI::Option* option) {
  return option->transform([](const std::string& text) { return Unmarked(text); });
}

/// Says what is wrong if `text` is no whole number of this type; else writes it as CLI11 reads it
/// rightly, which takes "-1" for a large number, "010" for 8 and what is too large for the largest.
template <typename Whole>
std::string ToWhole(std::string& text) {
  Whole value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) {
    return Quoted(text, 60) + " is beyond " + std::to_string(std::numeric_limits<Whole>::min()) +
           " to " + std::to_string(std::numeric_limits<Whole>::max());
  }
  if (error != std::errc() || stop != end) return Quoted(text, 60) + " isn't a whole number";
  text = std::to_string(value);
  return {};
}

template <typename T>
struct NumberOf {
  using Type = T;
};
template <typename T>
struct NumberOf<std::optional<T>> {
  using Type = T;
};

/// "1.5G" as bytes; empty if it says no size.
std::optional<int64_t> SizeOf(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  std::string unit = AsciiLower(std::string(stop, end));
  std::erase(unit, ' ');
  if (unit.ends_with("ib") && unit.size() == 3) unit.erase(1);
  if (unit.ends_with('b')) unit.pop_back();
  constexpr std::string_view kUnits = "kmgt";
  const size_t power = unit.size() == 1 ? kUnits.find(unit.front()) : std::string_view::npos;
  if (!unit.empty() && power == std::string_view::npos) return std::nullopt;
  for (size_t i = 0; !unit.empty() && i <= power; ++i) number *= 1024;
  if (!(number >= 0 && number < 0x1p63)) return std::nullopt;
  return static_cast<int64_t>(number);
}

OptionDescription OptionOf(const CLI::Option& option, const Offers& offers) {
  OptionDescription text;
  for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  text.is_positional = text.names.empty();
  if (text.is_positional) text.names.push_back(option.get_name(/*positional=*/true));
  text.help = option.get_description();
  text.takes_value = option.get_items_expected_max() > 0;
  text.takes_several = option.get_items_expected_max() > 1;
  text.is_required = option.get_required();
  text.default_value = option.get_default_str();
  text.variable = option.get_envname();
  // "UINT:SIZE", "INT:INT in [0 - 10]": the last says the most. Of "TEXT:{a,b}" `values` does.
  const std::string kind = option.get_type_name();
  const size_t last = kind.rfind(':') + 1;
  text.kind = kind.substr(last, 1) == "{" ? kind.substr(0, kind.find(':')) : kind.substr(last);
  const auto offered = offers.find(&option);
  if (offered != offers.end()) text.values = offered->second;
  return text;
}

CommandDescription CommandOf(const CLI::App& app, const Offers& offers) {
  CommandDescription text;
  text.name = app.get_name();
  text.help = app.get_description();
  for (const CLI::Option* option : app.get_options())
    text.options.push_back(OptionOf(*option, offers));
  return text;
}

}  // namespace

Option Option::Required() {
  option_->required();
  return *this;
}

Option Option::Between(int least, int most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::Between(double least, double most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::OneOf(std::vector<std::string> values) {
  option_->check(CLI::IsMember(values));
  return Offer(std::move(values));
}

Option Option::Offer(std::vector<std::string> values) {
  (*offers_)[option_] = std::move(values);
  return *this;
}

Option Option::SplitAt(char delimiter) {
  option_->delimiter(delimiter);
  return *this;
}

Option Option::OneAtATime() {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::InBytes() {
  const auto to_bytes = [](std::string& text) -> std::string {
    const std::optional<int64_t> bytes = SizeOf(text);
    if (!bytes) return Quoted(text, 60) + " isn't a size; say for example 16G, 1.5G or 512M";
    text = std::to_string(*bytes);
    return {};
  };
  option_->transform(CLI::Validator(to_bytes, "SIZE"));
  return *this;
}

Option Option::OrVariable(const std::string& variable) {
  option_->envname(variable);
  return *this;
}

Option Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Option Option::ShowDefault(const std::string& text) {
  option_->default_str(text);
  return *this;
}

bool Option::is_given() const { return option_->count() > 0; }

Status Option::Set(const std::string& value) {
  try {
    // An option without a value is a flag: it would take "--insecure false" as set.
    const bool is_flag = option_->get_items_expected_max() == 0;
    option_->add_result(is_flag ? option_->get_flag_value(option_->get_name(), value)
                                : Marked(value));
    option_->run_callback();
  } catch (const CLI::Error& error) {
    return InvalidArgumentError(Unmarked(error.what()));
  }
  return OkStatus();
}

Command Command::AddCommand(const std::string& name, const std::string& help) {
  return {command_->add_subcommand(name, help), *offers_};
}

template <typename Value>
Option Command::Add(const std::string& name, Value& value, const std::string& help) {
  CLI::Option* option = TakeLiterally(command_->add_option(name, value, help));
  using Number = typename NumberOf<Value>::Type;
  if constexpr (std::is_integral_v<Number>)
    option->transform(CLI::Validator(ToWhole<Number>, std::string()));
  return {option, *offers_};
}
template Option Command::Add(const std::string&, std::string&, const std::string&);
template Option Command::Add(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::Add(const std::string&, int&, const std::string&);
template Option Command::Add(const std::string&, int64_t&, const std::string&);
template Option Command::Add(const std::string&, uint64_t&, const std::string&);
template Option Command::Add(const std::string&, double&, const std::string&);
template Option Command::Add(const std::string&, std::optional<int>&, const std::string&);
template Option Command::Add(const std::string&, std::optional<int64_t>&, const std::string&);
template Option Command::Add(const std::string&, std::optional<uint64_t>&, const std::string&);
template Option Command::Add(const std::string&, std::optional<double>&, const std::string&);

Option Command::AddFlag(const std::string& name, bool& value, const std::string& help) {
  return {command_->add_flag(name, value, help), *offers_};
}

Option Command::AddFunction(const std::string& name, std::function<void(const std::string&)> take,
                            const std::string& help) {
  return {TakeLiterally(command_->add_option_function<std::string>(name, take, help)), *offers_};
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
    : app_(std::make_unique<CLI::App>(description)), version_(version) {
  app_->name(name);
  app_->set_version_flag("--version", version);
}

CommandLine::~CommandLine() = default;

void CommandLine::RequireCommand() {
  app_->require_subcommand(1);
  app_->fallthrough();
}

void CommandLine::AddScriptOptions() {
  root()
      .Add("--completions", shell_, "Print a script that completes this program's lines, and exit")
      .OneOf(Shells());
  root().AddFlag("--man-page", wants_manual_, "Print this program's manual page and exit");
}

Description CommandLine::Describe() const {
  Description all;
  all.version = version_;
  all.root = CommandOf(*app_, *offers_);
  for (const CLI::App* command : app_->get_subcommands({}))
    all.commands.push_back(CommandOf(*command, *offers_));
  return all;
}

std::optional<CommandLine::Answer> CommandLine::Parse(std::vector<std::string> arguments) {
  for (std::string& argument : arguments) argument = Marked(std::move(argument));
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back.
  try {
    app_->parse(arguments);
  } catch (const CLI::Success& success) {
    std::ostringstream out, err;
    app_->exit(success, out, err);
    return Answer{false, {}, out.str()};
  } catch (const CLI::ParseError& error) {
    std::string message = OnOneLine(Unmarked(error.what()));
    // That something is missing is less than what stands in its place.
    const std::vector<std::string> unknown = app_->remaining(/*recurse=*/true);
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !unknown.empty())
      message = "there is no command or option " + Quoted(Unmarked(unknown.front()));
    return Answer{true, message, message + "\nRun with --help for more information.\n"};
  }
  if (!shell_.empty()) return Answer{false, {}, Completions(Describe(), shell_)};
  if (wants_manual_) return Answer{false, {}, ManPage(Describe())};
  return std::nullopt;
}

std::optional<CommandLine::Answer> CommandLine::Parse(int argc, const char* const* argv) {
  return Parse(std::vector<std::string>(argv + 1, argv + argc));
}

}  // namespace graft::command_line
