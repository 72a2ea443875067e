#include "server/app/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>

#include <atomic>
#include <charconv>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "common/base/file.h"
#include "common/base/guard.h"
#include "common/base/json.h"
#include "common/objects/local_object_store.h"
#include "common/objects/memory_object_store.h"
#include "server/app/data_folder.h"
#include "server/app/prometheus_probe.h"
#include "server/app/scrape_targets.h"
#include "server/app/trace_metrics.h"
#include "server/background/housekeeping.h"
#include "server/background/tensorboard.h"
#include "server/background/validator.h"
#include "server/calls/chain.h"
#include "server/http/http_server.h"
#include "server/rest/routes.h"
#include "server/rpc/rpc_server.h"
#include "server/stores/memory_store.h"
#include "server/stores/sqlite_store.h"
#include "server/supervisor/devices.h"
#include "server/supervisor/process_launcher.h"
#include "server/supervisor/socket_path.h"
#include "server/supervisor/supervisor.h"
#include "server/tensorboard/event_file.h"

namespace graft::server::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

milliseconds Milliseconds(double seconds) {
  return milliseconds(static_cast<int64_t>(seconds * 1000));
}

StatusOr<std::unique_ptr<core::Store>> OpenStore(const Config& config, const fs::path& data) {
  if (config.job_store == "memory") return std::make_unique<stores::MemoryStore>();
  GRAFT_ASSIGN_OR_RETURN(auto store, stores::SqliteStore::Open((data / "graft.sqlite").string()));
  return std::unique_ptr<core::Store>(std::move(store));
}

StatusOr<std::unique_ptr<objects::ObjectStore>> OpenObjects(const Config& config,
                                                            const fs::path& data) {
  if (config.object_store == "memory") return std::make_unique<objects::MemoryObjectStore>();
  GRAFT_ASSIGN_OR_RETURN(auto store, objects::LocalObjectStore::Open(data / "objects"));
  return std::unique_ptr<objects::ObjectStore>(std::move(store));
}

StatusOr<std::vector<fs::path>> DataRoots(const Config& config) {
  std::vector<fs::path> roots;
  for (const std::string& root : config.data_roots) {
    std::error_code error;
    const fs::path real = fs::canonical(root, error);
    if (error || !fs::is_directory(real, error)) {
      return InvalidArgumentError("--data-roots names " + root + ", which is no folder");
    }
    roots.push_back(real);
  }
  return roots;
}

/// Returns `wanted` if nothing listens there, else a free port: a worker's metrics must not keep it
/// from starting.
int FreePort(int wanted) {
  for (const int port : {wanted, 0}) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return 0;
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    socklen_t size = sizeof address;
    const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(socket);
    if (bound) return ntohs(address.sin_port);
  }
  return 0;
}

std::vector<std::string> Devices(const Config& config) {
  if (config.workers == "none") return {};
  std::vector<std::string> devices = supervisor::FindDevices();
  if (config.workers == "auto") return devices;
  size_t count = 0;
  std::from_chars(config.workers.data(), config.workers.data() + config.workers.size(), count);
  devices.resize(count, devices.front() == "cpu" ? "cpu" : devices.back());
  return devices;
}

StatusOr<std::string> WorkerBinary(const Config& config) {
  fs::path binary = config.worker_binary;
  if (binary.empty()) {
    std::error_code error;
    binary = fs::read_symlink("/proc/self/exe", error).parent_path() / "graft-worker";
  }
  if (::access(binary.c_str(), X_OK) != 0) {
    return InvalidArgumentError("there is no worker program " + binary.string() +
                                "; --worker-binary names one, --workers none runs without");
  }
  return binary.string();
}

}  // namespace

/// In the order in which one needs the other; destroyed the other way round. The runtime stands
/// near the front because a store's last callbacks are still posted to it.
struct Server::Parts {
  Parts(const Config& c, DataFolder folder, otlp::Tracing t)
      : config(c), tracing(std::move(t)), data(std::move(folder)) {}

  const Config config;
  const otlp::Tracing tracing;
  DataFolder data;
  PrometheusProbe probe{data.path()};
  const std::shared_ptr<TraceMetrics> trace_metrics = std::make_shared<TraceMetrics>(tracing);
  calls::Runtime runtime;
  background::JobChanges changes{runtime};
  std::optional<background::WorkerHub> workers;
  std::unique_ptr<objects::ObjectStore> objects;
  /// Hears of the store's changes up to its end; made before the first.
  std::optional<background::TensorBoard> tensorboard;
  std::unique_ptr<core::Store> store;
  std::optional<intake::BaseCatalog> catalog;
  std::optional<background::BaseFinder> bases;
  std::optional<intake::DatasetSources> sources;
  std::optional<intake::Intake> intake;
  std::optional<background::Backend> backend;
  calls::CallHost host{runtime, probe, calls::MakeChain({}), tracing.tracer};
  std::optional<service::Services> services;
  std::optional<background::Housekeeping> housekeeping;
  std::optional<background::Validator> validator;
  supervisor::SocketPlace socket;
  std::optional<supervisor::ProcessLauncher> launcher;
  std::optional<supervisor::Supervisor> supervisor;
  std::unique_ptr<rpc::RpcServer> server;
  std::unique_ptr<http::HttpServer> http;
  std::atomic<bool> is_ready = false;
  std::unique_ptr<prometheus::Exposer> exposer;
  int metrics_port = 0;
  mutable std::mutex ports_mutex;            ///< One writer of the files of ports at a time.
  std::vector<WorkerTarget> worker_metrics;  ///< Guarded by ports_mutex once they run.
  std::atomic<bool> stopped = false;
  std::atomic<bool> failed = false;

  /// No worker will run: ends this process in order.
  void Refused(const std::string& why);
  Status OpenStores();
  Status PrepareTensorBoard();
  Status Listen();
  Status ListenHttp();
  Status StartWorkers();
  /// The arguments of a worker that starts now: its old port for metrics, or another if that was
  /// taken meanwhile.
  std::vector<std::string> MetricsArguments(size_t worker);
  Status WritePorts() const;
  void OnIo(std::function<void()> work);
};

void Server::Parts::OnIo(std::function<void()> work) {
  std::promise<void> done;
  boost::asio::post(runtime.io(), [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

Status Server::Parts::OpenStores() {
  GRAFT_ASSIGN_OR_RETURN(objects, OpenObjects(config, data.path()));
  GRAFT_ASSIGN_OR_RETURN(store, OpenStore(config, data.path()));
  store->OnJobsChanged([this](const std::vector<core::JobKey>& keys) {
    changes.Notify(keys);
    if (tensorboard) tensorboard->JobsChanged(keys);
  });
  std::error_code error;
  if (!fs::is_directory(config.bases, error)) {
    return InvalidArgumentError(
        "--bases names " + config.bases +
        ", which is no folder; it holds one sub-folder for each HuggingFace model");
  }
  GRAFT_ASSIGN_OR_RETURN(auto roots, DataRoots(config));
  catalog.emplace(fs::absolute(config.bases), data.path() / "cache");
  bases.emplace(runtime, *catalog);
  sources.emplace(std::move(roots), *objects);
  intake.emplace(*sources, *objects);

  background::Limits limits;
  limits.max_queued_jobs = config.max_queued_jobs;
  limits.lease = Milliseconds(config.lease_seconds);
  limits.stall = Milliseconds(config.stall_seconds);
  background::WorkerHub::Options hub;
  hub.silent_after = limits.lease;
  hub.check_base = [this](std::string base) { return bases->Check(std::move(base)); };
  workers.emplace(runtime, probe, hub);
  workers->set_expecting(config.workers != "none");
  backend.emplace(background::Backend{runtime, probe, *store, *objects, changes, *workers, *bases,
                                      *sources, *intake, limits, tracing.tracer});
  services.emplace(*backend);
  return OkStatus();
}

Status Server::Parts::PrepareTensorBoard() {
  if (config.tensorboard.empty()) return OkStatus();
  const fs::path folder = fs::absolute(config.tensorboard);
  if (const Status made = server::tensorboard::PrepareFolder(folder); !made.ok()) {
    return InvalidArgumentError(
        fmt::format("--tensorboard names {}, where no file can be written: {}", config.tensorboard,
                    made.message()));
  }
  background::TensorBoard::Options options;
  options.folder = folder;
  tensorboard.emplace(*backend, options);
  return OkStatus();
}

Status Server::Parts::Listen() {
  GRAFT_ASSIGN_OR_RETURN(socket, supervisor::PrepareSocket(data.path()));
  rpc::RpcServer::Options options;
  options.listen = config.listen;
  options.unix_socket = socket.path.string();
  options.worker_token = config.worker_token;
  if (config.metrics != "none") {
    GRAFT_ASSIGN_OR_RETURN(exposer, ServeMetrics(config.metrics, probe, trace_metrics));
    metrics_port = exposer->GetListeningPorts().front();
  }
  GRAFT_ASSIGN_OR_RETURN(server, rpc::RpcServer::Start(options, host, *services));
  return ListenHttp();
}

Status Server::Parts::ListenHttp() {
  if (config.http == "none") return OkStatus();
  GRAFT_ASSIGN_OR_RETURN(const Address address, ParseAddress(config.http));
  http::HttpServer::Options options;
  options.host = address.host;
  options.port = address.port;
  options.names = config.http_hosts;
  GRAFT_ASSIGN_OR_RETURN(
      http, http::HttpServer::Start(std::move(options), host, rest::MakeRoutes(*services, [this] {
                                      return is_ready.load();
                                    })));
  return OkStatus();
}

Status Server::Parts::StartWorkers() {
  const std::vector<std::string> devices = Devices(config);
  if (devices.empty()) return OkStatus();
  supervisor::Supervisor::Options options;
  GRAFT_ASSIGN_OR_RETURN(options.binary, WorkerBinary(config));
  options.drain = Milliseconds(config.drain_seconds);
  options.arguments = {"--server",        "unix:" + socket.path.string(),
                       "--bases",         fs::absolute(config.bases).string(),
                       "--supervised-by", std::to_string(::getpid()),
                       "--drain-seconds", std::to_string(static_cast<int>(config.drain_seconds)),
                       "--log-level",     config.log_level == "trace" ? "debug" : config.log_level,
                       "--log-format",    config.log_format};
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  GRAFT_ASSIGN_OR_RETURN(const Address metrics,
                         ParseAddress(config.metrics == "none" ? "127.0.0.1:0" : config.metrics));
  for (size_t i = 0; i < devices.size(); ++i) {
    supervisor::Supervisor::Place place;
    place.device = devices[i];
    place.arguments = {
        "--listen",
        "unix:" + (socket.path.parent_path() / fmt::format("engine-{}.sock", i)).string()};
    // Beside the server's, so that Prometheus' targets can also be written down by hand.
    const int port = FreePort(metrics.port == 0 ? 0 : metrics.port + 1 + static_cast<int>(i));
    worker_metrics.push_back({devices[i], port});
    place.arguments_at_start = [this, i] { return MetricsArguments(i); };
    if (devices[i] == "cpu" && devices.size() > 1) {
      const int threads = std::max(1, cores / static_cast<int>(devices.size()));
      place.arguments.insert(place.arguments.end(), {"--threads", std::to_string(threads)});
    }
    options.places.push_back(std::move(place));
  }
  launcher.emplace(runtime.io());
  supervisor.emplace(
      runtime.io(), *launcher, std::move(options),
      [this](const std::string& worker) { housekeeping->WorkerDied(worker); },
      [this](const std::string& why) { Refused(why); });
  OnIo([this] { supervisor->Start(); });
  return OkStatus();
}

void Server::Parts::Refused(const std::string& why) {
  if (stopped || failed.exchange(true)) return;
  spdlog::error(
      "graft-worker refuses its settings, which this server's environment and flags gave it: {}; "
      "correct them and start the server again",
      why);
  ::kill(::getpid(), SIGTERM);
}

std::vector<std::string> Server::Parts::MetricsArguments(size_t worker) {
  const std::lock_guard lock(ports_mutex);
  int& port = worker_metrics[worker].port;
  if (const int free = FreePort(port); free != port) {
    port = free;
    boost::asio::post(runtime.disk(), [this] {
      const Status written = Contained([this] { return WritePorts(); });
      if (!written.ok()) spdlog::warn("Prometheus won't find a worker: {}", written.message());
    });
  }
  return {"--metrics", fmt::format("127.0.0.1:{}", port)};
}

Status Server::Parts::WritePorts() const {
  const std::lock_guard lock(ports_mutex);
  Address metrics;
  if (config.metrics != "none") {
    GRAFT_ASSIGN_OR_RETURN(metrics, ParseAddress(config.metrics));
  }
  metrics.port = metrics_port;
  // First, so that whoever waits for ports.json finds it too.
  GRAFT_RETURN_IF_ERROR(WriteFileDurably(data.path() / "prometheus-targets.json",
                                         ScrapeTargets(metrics, worker_metrics).dump(2) + "\n"));
  Json worker_ports = Json::array();
  for (const WorkerTarget& worker : worker_metrics) worker_ports.push_back(worker.port);
  const Json ports = {
      {"grpc", server->port()},         {"http", http == nullptr ? 0 : http->port()},
      {"metrics", metrics_port},        {"worker_metrics", worker_ports},
      {"socket", socket.path.string()}, {"pid", ::getpid()}};
  return WriteFileDurably(data.path() / "ports.json", ports.dump(2) + "\n");
}

StatusOr<std::unique_ptr<Server>> Server::Start(const Config& config, otlp::Tracing tracing) {
  GRAFT_ASSIGN_OR_RETURN(DataFolder data, DataFolder::Open(config.data));
  // Whoever waits for this start must not read where the last one listened.
  std::error_code ignored;
  fs::remove(data.path() / "ports.json", ignored);
  auto server = std::unique_ptr<Server>(
      new Server(std::make_unique<Parts>(config, std::move(data), std::move(tracing))));
  Parts& parts = *server->parts_;
  const auto start = [&]() -> Status {
    GRAFT_RETURN_IF_ERROR(parts.OpenStores());
    parts.housekeeping.emplace(*parts.backend, background::Housekeeping::Options{});
    background::Validator::Options validation;
    validation.server_id = parts.data.server_id();
    parts.validator.emplace(*parts.backend, validation);
    GRAFT_RETURN_IF_ERROR(parts.PrepareTensorBoard());
    GRAFT_RETURN_IF_ERROR(parts.Listen());
    parts.housekeeping->Start();
    parts.validator->Start();
    if (parts.tensorboard) parts.tensorboard->Start();
    GRAFT_RETURN_IF_ERROR(parts.StartWorkers());
    parts.server->SetServing(true);
    parts.is_ready = true;
    return parts.WritePorts();
  };
  if (Status status = start(); !status.ok()) {
    server->Stop();
    return status;
  }
  return server;
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() = default;

int Server::grpc_port() const { return parts_->server->port(); }
bool Server::failed() const { return parts_->failed; }
int Server::http_port() const { return parts_->http == nullptr ? 0 : parts_->http->port(); }
int Server::metrics_port() const { return parts_->metrics_port; }

void Server::Stop() {
  Parts& p = *parts_;
  if (p.stopped.exchange(true)) return;
  const milliseconds grace = Milliseconds(p.config.drain_seconds);
  p.is_ready = false;
  if (p.server != nullptr) p.server->SetServing(false);
  if (p.http != nullptr) p.http->Drain();
  p.OnIo([&] {
    p.host.Drain();
    if (p.workers) p.workers->set_expecting(false);
  });
  // Before the calls: what it reads would keep theirs waiting, and the next start takes it up.
  if (p.validator) p.validator->Stop();
  const auto end = std::chrono::steady_clock::now() + grace;
  if (p.server != nullptr) p.server->StopPublic(grace);
  if (p.http != nullptr) {
    p.http->Stop(
        std::max(std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now()),
                 milliseconds(0)));
  }
  if (p.supervisor) {
    std::promise<void> ended;
    p.OnIo([&] { p.supervisor->Stop([&] { ended.set_value(); }); });
    ended.get_future().wait();
  }
  if (p.server != nullptr) p.server->StopInternal(milliseconds(1000));
  p.exposer.reset();
  if (p.housekeeping) p.housekeeping->Stop();
  if (p.tensorboard) p.tensorboard->Stop();
  p.runtime.Stop();
}

}  // namespace graft::server::app
