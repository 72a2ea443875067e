#pragma once
/// The whole CLI as a function, so that tests run it in their own process.

#include <ostream>
#include <string>
#include <vector>

namespace graft::cli {

struct Environment {
  std::string server;            ///< GRAFT_SERVER
  std::string token;             ///< GRAFT_TOKEN
  bool terminal = false;         ///< Standard output is a terminal.
  bool err_terminal = false;     ///< Standard error is one.
  bool in_terminal = false;      ///< Standard input is one.
  std::string traceparent = {};  ///< TRACEPARENT
  std::string tracestate = {};   ///< TRACESTATE
};

/// Runs one command line (without the program's name); returns its exit code.
int Run(std::vector<std::string> arguments, const Environment& environment, std::ostream& out,
        std::ostream& err);

}  // namespace graft::cli
