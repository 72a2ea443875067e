#pragma once
/// A program's command line: options, commands with options of their own, and how it is read. CLI11
/// does the work, behind this: all of it is compiled anew in each file that includes it, so one
/// does. Thread safety: thread-compatible.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/command_line/description.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace graft::command_line {

/// The values that completion offers for options. CLI11 keeps them in sentences only.
using Offers = std::map<const CLI::Option*, std::vector<std::string>>;

/// Refers to an option; the command line that it belongs to must outlive it.
class Option {
 public:
  Option(CLI::Option* option, Offers& offers) : option_(option), offers_(&offers) {}

  Option Required();
  /// Only values from `least` to `most`.
  Option Between(int least, int most);
  Option Between(double least, double most);
  Option OneOf(std::vector<std::string> values);
  /// Completion offers these; others are taken too.
  Option Offer(std::vector<std::string> values);
  /// The texts of a list may also stand in one value, with `delimiter` between them.
  Option SplitAt(char delimiter);
  /// A list that takes one text each time it is named, and leaves what follows to others.
  Option OneAtATime();
  /// A number of bytes, which may end in K, M, G or T (times 1024).
  Option InBytes();
  /// Where the line doesn't have it, the environment's `variable` is taken.
  Option OrVariable(const std::string& variable);
  /// Help shows the value that it has now.
  Option ShowDefault();
  /// Help shows `text` as what it has now.
  Option ShowDefault(const std::string& text);

  /// True if the line, its variable or Set gave it a value.
  bool is_given() const;
  /// Gives it a value from elsewhere, as the line would have. Errors: InvalidArgument that says
  /// what is wrong with `value`.
  Status Set(const std::string& value);

 private:
  CLI::Option* option_;
  Offers* offers_;
};

/// Refers to a command; the command line that it belongs to must outlive it.
class Command {
 public:
  Command(CLI::App* command, Offers& offers) : command_(command), offers_(&offers) {}

  Command AddCommand(const std::string& name, const std::string& help);

  /// `--name`, or `name` for an argument without one. Parsing writes `value`, which must live until
  /// then. Value: std::string, a vector of it (may be given again; each text is taken as it is),
  /// int, int64_t, uint64_t, double, and these numbers as optional.
  template <typename Value>
  Option Add(const std::string& name, Value& value, const std::string& help);
  Option AddFlag(const std::string& name, bool& value, const std::string& help);
  /// As Add, but gives the text to `take`.
  Option AddFunction(const std::string& name, std::function<void(const std::string&)> take,
                     const std::string& help);

  /// Called where the line names this command, when all its values are written.
  void OnChosen(std::function<void()> action);

  std::vector<std::string> CommandNames() const;

 private:
  CLI::App* command_;
  Offers* offers_;
};

class CommandLine {
 public:
  /// What is said instead of running a command.
  struct Answer {
    bool is_fault = false;  ///< Else help or the version was asked for.
    std::string message;    ///< What is wrong.
    std::string text;       ///< For the screen.
  };

  /// `version` is what --version prints.
  CommandLine(const std::string& name, const std::string& version, const std::string& description);
  ~CommandLine();

  /// Where all begins.
  Command root() { return {app_.get(), *offers_}; }
  /// A line must name one of the root's commands; the root's options may also stand behind it.
  /// Comes before the commands are added.
  void RequireCommand();
  /// For a program without commands: --completions SHELL and --man-page, which Parse answers.
  void AddScriptOptions();

  /// All of it as it stands now. The program's line may name nothing that this lacks.
  Description Describe() const;

  /// Reads a line without the program's name. Returns nothing if the program is to go on.
  std::optional<Answer> Parse(std::vector<std::string> arguments);
  /// The same of main's arguments.
  std::optional<Answer> Parse(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> app_;
  std::unique_ptr<Offers> offers_ = std::make_unique<Offers>();
  std::string version_;
  std::string shell_;          ///< --completions
  bool wants_manual_ = false;  ///< --man-page
};

}  // namespace graft::command_line
