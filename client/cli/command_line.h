#pragma once
/// A command line: commands, their options, and how it is read. CLI11 does the work, behind this:
/// all of it is compiled anew in each file that includes it, so one does.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace graft::cli {

/// Refers to an option; the command line that it belongs to must outlive it.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option Required();
  /// Only values from `least` to `most`.
  Option Between(int least, int most);
  /// Help shows the value that it has now.
  Option ShowDefault();

  bool is_given() const;

 private:
  CLI::Option* option_;
};

/// Refers to a command; the command line that it belongs to must outlive it.
class Command {
 public:
  explicit Command(CLI::App* command) : command_(command) {}

  Command AddCommand(const std::string& name, const std::string& help);

  /// `--name`, or `name` for an argument without one. Parsing writes `value`, which must live until
  /// then. Value: std::string, a vector of it (may be given again), int, int64_t, size_t, double.
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
};

class CommandLine {
 public:
  /// What is said instead of running a command.
  struct Answer {
    bool is_fault = false;  ///< Else help or the version was asked for.
    std::string message;    ///< What is wrong.
    std::string text;       ///< For the screen.
  };

  CommandLine(const std::string& name, const std::string& version, const std::string& description);
  ~CommandLine();

  /// Where all begins. Its options may stand behind a command too; one command must be chosen.
  Command root() { return Command(app_.get()); }

  /// Reads a line without the program's name. Returns nothing if a command was chosen.
  std::optional<Answer> Parse(std::vector<std::string> arguments);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace graft::cli
