/// graft-worker: holds frozen bases, trains adapters on them and serves them. Dials its server.

#include <sys/prctl.h>
#include <unistd.h>
#include <atomic>
#include <csignal>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <system_error>

#include <grpc/support/log.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>

#include "common/base/failpoint.h"
#include "common/base/ids.h"
#include "common/command_line/command_line.h"
#include "common/logging/log.h"
#include "common/otlp/tracing.h"
#include "worker/agent/agent.h"
#include "worker/agent/engine_service.h"
#include "worker/app/metrics.h"
#include "worker/engine/engine.h"

namespace {

using namespace graft;
using namespace graft::worker;

constexpr const char* kBuild = "0.1.0";

struct Flags {
  std::string server;
  std::string bases;
  std::string device = "cpu";
  std::string listen = "127.0.0.1:0";
  std::string metrics = "127.0.0.1:0";
  std::string worker_id;
  std::string worker_token;
  std::string failpoints;
  std::string log_level = "info";
  std::string log_format = "text";
  int threads = 0;
  uint64_t memory = 0;
  uint64_t base_memory = 0;
  uint64_t adapter_memory = engine::EngineOptions().max_adapter_bytes;
  uint64_t kv_memory = engine::EngineOptions().max_kv_bytes;
  int supervised_by = 0;
  int drain_seconds = 20;
  bool list_failpoints = false;
  bool insecure = false;
};

/// True if only this machine can reach `address`, which is HOST:PORT or unix:/path.
bool IsLocal(const std::string& address) {
  if (address.starts_with("unix:")) return true;
  const std::string host = address.substr(0, address.rfind(':'));
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

/// Dies with the server that started us, also when that is killed.
void FollowSupervisor(int pid) {
  if (pid <= 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != pid) ::_exit(0);  // It died before we asked.
}

/// Of the command line: in text, for whoever typed it.
int Fail(const Status& status, int code) {
  std::cerr << "graft-worker: " << status.message() << "\n";
  return code;
}

/// Blocked in every thread from here on; the main thread waits for them.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // A limit on the size of files is a full disk, not an end.
  return signals;
}

engine::EngineOptions OptionsOf(const Flags& flags) {
  engine::EngineOptions options;
  options.bases = flags.bases;
  options.device = flags.device;
  options.threads = flags.threads;
  options.memory_bytes = static_cast<int64_t>(flags.memory);
  options.max_base_bytes = static_cast<int64_t>(flags.base_memory);
  options.max_adapter_bytes = static_cast<int64_t>(flags.adapter_memory);
  options.max_kv_bytes = static_cast<int64_t>(flags.kv_memory);
  return options;
}

/// gRPC's own lines, which are text, as lines of this log.
void LogOfGrpc(gpr_log_func_args* line) {
  const bool is_error = line->severity == GPR_LOG_SEVERITY_ERROR;
  spdlog::log(is_error ? spdlog::level::err : spdlog::level::info, "gRPC: {}", line->message);
}

int Run(const Flags& flags) {
  const sigset_t signals = BlockSignals();
  const std::string id = !flags.worker_id.empty() ? flags.worker_id : NewId(SystemClock().Now());
  const auto tracing = otlp::StartTracing(
      [](const char* name) -> const char* { return std::getenv(name); }, "graft-worker", id);
  if (!tracing.ok()) return logging::Fail("graft-worker", tracing.status(), 2);
  auto metrics = app::Metrics::Create(flags.metrics, kBuild);
  if (!metrics.ok()) return logging::Fail("graft-worker", metrics.status(), 1);
  auto engine = engine::Engine::Create(OptionsOf(flags), (*metrics)->probe());
  if (!engine.ok()) return logging::Fail("graft-worker", engine.status(), 1);

  auto server = std::make_shared<agent::ServerLink>(flags.server, flags.worker_token);
  auto objects = std::make_shared<agent::Objects>(server);
  std::atomic<bool> device_failed = false;
  const auto on_device_failed = [&] {
    device_failed = true;
    ::kill(::getpid(), SIGTERM);
  };
  agent::EngineService service(**engine, objects, (*metrics)->swapped(), on_device_failed,
                               tracing->tracer);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(16 << 20);
  builder.AddListeningPort(flags.listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> grpc_server = builder.BuildAndStart();
  if (grpc_server == nullptr)
    return logging::Fail("graft-worker",
                         UnavailableError("--listen " + flags.listen + " can't be listened on"), 1);
  std::string address = flags.listen;
  if (!address.starts_with("unix:"))
    address = address.substr(0, address.rfind(':') + 1) + std::to_string(port);

  (*metrics)->Attach(**engine, [tracing = *tracing] {
    const otlp::Exporter::Counts counts = tracing.counts();
    return app::Metrics::Spans{counts.sent, counts.dropped};
  });
  agent::Agent agent({.worker_id = id,
                      .engine_address = address,
                      .build = kBuild,
                      .on_device_failed = on_device_failed,
                      .tracer = tracing->tracer},
                     **engine, server, objects);
  agent.Start();
  logging::Info({.worker = id}, "worker {} on {} ({}), engine at {}, metrics at port {}", id,
                flags.device, (*engine)->device_facts().name, address, (*metrics)->port());

  int signal = 0;
  ::sigwait(&signals, &signal);
  spdlog::info("draining: running jobs are checkpointed and given back");
  const auto drained_by =
      std::chrono::system_clock::now() + std::chrono::seconds(flags.drain_seconds);
  agent.Drain(std::chrono::seconds(flags.drain_seconds));
  // Texts that run may end; what is left two seconds before the end is cut off.
  constexpr std::chrono::seconds kLast(2);
  grpc_server->Shutdown(std::max(std::chrono::system_clock::now() + kLast, drained_by - kLast));
  (*metrics)->Detach();
  tracing->Stop(std::chrono::seconds(1));
  return device_failed ? 1 : 0;
}

void AddOptions(command_line::Command root, Flags& flags) {
  root.Add("--server", flags.server, "The server's worker address: host:port or unix:/path");
  root.Add("--bases", flags.bases, "Folder whose sub-folders are HuggingFace models");
  root.Add("--device", flags.device, "cpu or cuda:N").ShowDefault();
  root.Add("--listen", flags.listen, "Where the server reaches this worker; port 0 picks one")
      .ShowDefault();
  root.Add("--metrics", flags.metrics, "Where Prometheus scrapes /metrics; port 0 picks one")
      .ShowDefault();
  root.Add("--threads", flags.threads, "CPU threads; 0: one a core").Between(0, 1024);
  root.Add("--memory", flags.memory,
           "Of the device, for bases, adapters, texts that are generated and jobs together, e.g. "
           "16G; default: four fifths of the machine's, nine tenths of a GPU's")
      .InBytes()
      .OrVariable("GRAFT_MEMORY");
  root.Add("--base-memory", flags.base_memory,
           "Bases kept in memory, e.g. 16G; the least recently used that nobody uses leaves first; "
           "default: half of --memory")
      .InBytes()
      .OrVariable("GRAFT_BASE_MEMORY");
  root.Add("--adapter-memory", flags.adapter_memory, "Adapters kept in memory, likewise")
      .InBytes()
      .OrVariable("GRAFT_ADAPTER_MEMORY")
      .ShowDefault("4G");
  root.Add("--kv-memory", flags.kv_memory,
           "Keys and values of the texts that are generated over a base; prompt and text together "
           "are no longer than fits in it")
      .InBytes()
      .OrVariable("GRAFT_KV_MEMORY")
      .ShowDefault("1G");
  root.Add("--worker-id", flags.worker_id, "Name of this worker; default: a new one");
  root.Add("--worker-token", flags.worker_token,
           "The server's secret for workers over TCP; better set as GRAFT_WORKER_TOKEN than as a "
           "flag")
      .OrVariable("GRAFT_WORKER_TOKEN");
  root.Add("--supervised-by", flags.supervised_by, "Process to die with");
  root.Add("--drain-seconds", flags.drain_seconds, "How long SIGTERM may take").ShowDefault();
  root.AddFlag("--insecure", flags.insecure,
               "Listen off loopback although there is no TLS and no token");
  root.Add("--failpoints", flags.failpoints, "Where to crash, for tests: name=crash[@n],...")
      .OrVariable("GRAFT_FAILPOINTS");
  root.AddFlag("--list-failpoints", flags.list_failpoints, "Print the failpoints and exit");
  root.Add("--log-level", flags.log_level, "trace, debug, info, warn or error")
      .OneOf({"trace", "debug", "info", "warn", "error"})
      .ShowDefault();
  root.Add("--log-format", flags.log_format,
           "How lines of the log are written: text, or json, an object each")
      .OneOf({"text", "json"})
      .ShowDefault();
}

/// Errors: InvalidArgument if other machines could reach what has no TLS.
Status CheckAddresses(const Flags& flags) {
  for (const auto& [name, address] :
       {std::pair("--listen", flags.listen), std::pair("--metrics", flags.metrics)}) {
    if (flags.insecure || IsLocal(address)) continue;
    return InvalidArgumentError(std::string(name) + " " + address +
                                " can be reached from other machines, and graft-worker has no TLS; "
                                "say --insecure if the network is trusted");
  }
  return OkStatus();
}

/// libgomp's threads spin for a while before they sleep, and on busy cores may take them from those
/// that they wait for. Has them sleep at once, unless the user says how they are to wait; what that
/// costs and gains: docs/results/waiting.md. libgomp reads its environment before main begins, so
/// this starts the program again in this process; it returns where nothing is to be changed, or can
/// be.
void LetThreadsSleep(char** arguments) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  // By its own path, so that the process keeps its name.
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || ::setenv("GOMP_SPINCOUNT", "0", 0) != 0) return;
  ::execv(program.c_str(), arguments);
}

}  // namespace

int main(int argc, char** argv) {
  LetThreadsSleep(argv);
  Flags flags;
  command_line::CommandLine line(
      "graft-worker", kBuild,
      "graft-worker: trains and serves adapters for a graft-server. The server usually starts it "
      "by itself.\nTraces go to the collector of OpenTelemetry's that OTEL_EXPORTER_OTLP_ENDPOINT "
      "names, "
      "if it is set.");
  AddOptions(line.root(), flags);
  line.AddScriptOptions();
  if (const auto answer = line.Parse(argc, argv)) {
    (answer->is_fault ? std::cerr : std::cout) << answer->text;
    return answer->is_fault ? 2 : 0;
  }
  if (flags.list_failpoints) {
    for (const std::string_view name : FailpointNames()) std::cout << name << "\n";
    return 0;
  }
  if (flags.server.empty() || flags.bases.empty()) {
    return Fail(InvalidArgumentError("--server and --bases are needed; --help tells more"), 2);
  }
  if (const Status local = CheckAddresses(flags); !local.ok()) return Fail(local, 2);
  if (const Status room = engine::CheckKeyValueBytes(OptionsOf(flags).max_kv_bytes); !room.ok())
    return Fail(room, 2);
  FollowSupervisor(flags.supervised_by);
  if (const Status armed = ArmFailpoints(flags.failpoints); !armed.ok()) return Fail(armed, 2);
  logging::StartLogging("worker", flags.log_format, flags.log_level);
  if (logging::format() == logging::Format::kJson) ::gpr_set_log_function(LogOfGrpc);
  return Run(flags);
}
