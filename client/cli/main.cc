#include <unistd.h>
#include <csignal>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "client/cli/run.h"

namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  return value != nullptr ? value : "";
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGXFSZ, SIG_IGN);  // A limit on the size of files is a full disk, not an end.
  return graft::cli::Run(
      {argv + 1, argv + argc},
      {Variable("GRAFT_SERVER"), Variable("GRAFT_TOKEN"), ::isatty(STDOUT_FILENO) != 0,
       ::isatty(STDERR_FILENO) != 0, ::isatty(STDIN_FILENO) != 0, Variable("TRACEPARENT"),
       Variable("TRACESTATE")},
      std::cout, std::cerr);
}
