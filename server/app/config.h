#pragma once
/// graft-server's configuration: flags, else the same names in one YAML file (--config), else
/// GRAFT_... variables.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace graft::server::app {

struct Config {
  std::string data = "./graft-data";       ///< Everything that must not be lost.
  std::string bases = "./bases";           ///< Sub-folders are HuggingFace models.
  std::string listen = "127.0.0.1:7070";   ///< gRPC. Port 0 picks a free one.
  std::string http = "127.0.0.1:7080";     ///< HTTP; "none": not served.
  std::vector<std::string> http_hosts;     ///< Names of this server besides the loopback's.
  std::string metrics = "127.0.0.1:9464";  ///< Prometheus; "none": workers serve theirs still.
  std::string workers = "auto";            ///< auto, none, or a number.
  std::vector<std::string> data_roots;     ///< Folders that file:// URIs may name.
  std::string job_store = "sqlite";        ///< sqlite or memory.
  std::string object_store = "local";      ///< local or memory.
  std::string worker_binary;               ///< Empty: graft-worker beside this program.
  std::string worker_token;    ///< Lets workers dial in over TCP; empty: only over the Unix socket.
  bool insecure = false;       ///< Listen off loopback without TLS and tokens.
  double lease_seconds = 10;   ///< How long a worker may be silent.
  double stall_seconds = 900;  ///< How long a running job may make no step.
  double drain_seconds = 10;   ///< What calls and workers get to finish at shutdown.
  int max_queued_jobs = 100'000;
  std::string tensorboard;  ///< Folder of the jobs' event files; empty: none are written.
  std::string failpoints;   ///< For tests: see common/base/failpoint.h.
  std::string log_level = "info";
  std::string log_format = "text";  ///< text or json.
};

/// What the command line asks for.
struct Invocation {
  enum class Action { kRun, kPrintAndExit } action = Action::kRun;
  std::string text;  ///< --help, --version, --list-failpoints: what to print.
  Config config;
};

/// Reads one variable of the environment; returns nullptr if it isn't set.
using Environment = const char* (*)(const char* name);

/// Errors: InvalidArgument with one sentence that names the flag, key or variable and what it may
/// be.
StatusOr<Invocation> ParseCommandLine(int argc, const char* const* argv, Environment environment);

/// A host and port to listen on.
struct Address {
  std::string host;
  int port = 0;
  bool loopback = false;         ///< Only this machine can reach it.
  std::string ToString() const;  ///< "127.0.0.1:7070", "[::1]:7070"
};
/// Reads "127.0.0.1:7070", "[::1]:0", "localhost:7070", "0.0.0.0:7070".
StatusOr<Address> ParseAddress(const std::string& text);

}  // namespace graft::server::app
