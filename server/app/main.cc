/// graft-server: see --help.

#include <sys/resource.h>
#include <unistd.h>
#include <csignal>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include "common/base/failpoint.h"
#include "common/base/guard.h"
#include "common/base/ids.h"
#include "common/logging/log.h"
#include "common/otlp/tracing.h"
#include "server/app/config.h"
#include "server/app/server.h"

namespace {

using namespace graft;
using namespace graft::server::app;

/// Of the command line: in text, for whoever typed it.
int Fail(const Status& status, int code) {
  std::cerr << "graft-server: " << status.message() << "\n";
  return code;
}

int WaitForSignal(const sigset_t& signals) {
  int signal = 0;
  ::sigwait(&signals, &signal);
  return signal;
}

/// A thousand open files are soon too few for a server; what is allowed is taken.
void AllowManyFiles() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

const char* Variable(const char* name) { return std::getenv(name); }

/// gRPC's own lines, which are text, as lines of this log.
void LogOfGrpc(gpr_log_func_args* line) {
  const bool is_error = line->severity == GPR_LOG_SEVERITY_ERROR;
  spdlog::log(is_error ? spdlog::level::err : spdlog::level::info, "gRPC: {}", line->message);
}

int Run(const Config& config) {
  AllowManyFiles();
  // Blocked in every thread from here on; this one waits for them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // A limit on the size of files is a full disk, not an end.

  const auto tracing = otlp::StartTracing(Variable, "graft-server", NewId(SystemClock().Now()));
  if (!tracing.ok()) return logging::Fail("graft-server", tracing.status(), 2);
  auto server = Server::Start(config, *tracing);
  if (!server.ok()) return logging::Fail("graft-server", server.status(), 1);
  std::cout << "graft-server is ready\n  gRPC     port " << (*server)->grpc_port()
            << "\n  metrics  ";
  if ((*server)->metrics_port() != 0) {
    std::cout << "port " << (*server)->metrics_port() << ", path /metrics\n";
  } else {
    std::cout << "not served\n";
  }
  std::cout << "  HTTP     ";
  if ((*server)->http_port() != 0) {
    std::cout << "port " << (*server)->http_port() << ", OpenAI's API under /v1\n";
  } else {
    std::cout << "not served\n";
  }
  std::cout << "  data     " << config.data << std::endl;

  const int signal = WaitForSignal(signals);
  if (!(*server)->failed()) {
    spdlog::info("{}: finishing what is under way; a second signal ends at once",
                 signal == SIGINT ? "interrupted" : "asked to stop");
  }
  const auto end_at_once = [signals] {
    WaitForSignal(signals);
    spdlog::warn("a second signal: ending at once");
    ::_exit(1);  // Nothing is lost: all that was acknowledged is on disk, and workers die with
                 // their server.
  };
  StartThread(end_at_once, [](const Status&) { ::_exit(1); }).detach();
  (*server)->Stop();
  tracing->Stop(std::chrono::seconds(2));
  spdlog::info("stopped");
  return (*server)->failed() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto invocation = ParseCommandLine(argc, argv, Variable);
  if (!invocation.ok()) return Fail(invocation.status(), 2);
  if (invocation->action == Invocation::Action::kPrintAndExit) {
    std::cout << invocation->text;
    return 0;
  }
  const Config& config = invocation->config;
  if (const Status armed = ArmFailpoints(config.failpoints); !armed.ok()) return Fail(armed, 2);
  logging::StartLogging("server", config.log_format, config.log_level);
  if (logging::format() == logging::Format::kJson) ::gpr_set_log_function(LogOfGrpc);
  return Run(config);
}
