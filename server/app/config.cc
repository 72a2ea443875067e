#include "server/app/config.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "common/base/failpoint.h"
#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/command_line/command_line.h"

namespace graft::server::app {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;

/// "data-roots" -> "GRAFT_DATA_ROOTS"
std::string VariableName(const std::string& option) {
  std::string name = "GRAFT_" + option;
  for (char& c : name)
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

using Options = std::map<std::string, command_line::Option>;

/// Adds every option; returns those that a file or variable may also set, by name.
Options AddOptions(command_line::Command root, Config& c) {
  Options options;
  const auto add = [&](const std::string& name, auto& value, const char* help) {
    command_line::Option option = root.Add("--" + name, value, help).ShowDefault();
    options.emplace(name, option);
    return option;
  };
  add("data", c.data, "Folder for everything that must not be lost");
  add("bases", c.bases, "Folder whose sub-folders are HuggingFace models");
  add("listen", c.listen, "Address of the gRPC API; port 0 picks a free one");
  add("http", c.http, "Address of the HTTP API and the console, or \"none\"");
  add("http-hosts", c.http_hosts,
      "Names by which clients and pages may call the HTTP API, besides localhost: a proxy's, with "
      "commas between them")
      .SplitAt(',');
  add("metrics", c.metrics,
      "Address of /metrics for Prometheus; \"none\" for none (each worker serves its own still)");
  add("workers", c.workers,
      "Workers to run: auto (one a GPU, else one on the CPU), none, or a number");
  add("data-roots", c.data_roots,
      "Folders that file:// URIs may name, separated by commas; none by default")
      .SplitAt(',');
  add("job-store", c.job_store, "sqlite or memory (which forgets everything at exit)")
      .OneOf({"sqlite", "memory"});
  add("object-store", c.object_store, "local or memory (which forgets everything at exit)")
      .OneOf({"local", "memory"});
  add("worker-binary", c.worker_binary, "Path of graft-worker; default: beside this program");
  add("worker-token", c.worker_token,
      "Secret with which workers may dial in over TCP; better set as GRAFT_WORKER_TOKEN than as a "
      "flag");
  options.emplace("insecure",
                  root.AddFlag("--insecure", c.insecure,
                               "Listen off loopback although there is no TLS and no token"));
  add("lease-seconds", c.lease_seconds,
      "How long a worker may be silent before its jobs are given away")
      .Between(0.5, 3600.0);
  add("stall-seconds", c.stall_seconds,
      "How long a running job may make no progress before it is given away")
      .Between(1.0, 1e6);
  add("drain-seconds", c.drain_seconds, "What calls and workers get to finish at shutdown")
      .Between(0.0, 3600.0);
  add("max-queued-jobs", c.max_queued_jobs, "Jobs that may wait before new ones are refused")
      .Between(1, 100'000'000);
  add("tensorboard", c.tensorboard,
      "Folder in which each job's losses and figures are kept as TensorBoard reads them; none by "
      "default");
  add("failpoints", c.failpoints, "For tests: name=crash[@N],... (see --list-failpoints)");
  add("log-level", c.log_level, "trace, debug, info, warn or error")
      .OneOf({"trace", "debug", "info", "warn", "error"});
  add("log-format", c.log_format, "How lines of the log are written: text, or json, an object each")
      .OneOf({"text", "json"});
  return options;
}

/// The scalar of a YAML node, or a list's items joined by commas.
StatusOr<std::string> YamlValue(const std::string& key, const YAML::Node& node) {
  if (node.IsScalar()) return node.Scalar();
  std::string joined;
  if (node.IsSequence()) {
    for (const YAML::Node& item : node) {
      if (!item.IsScalar())
        return InvalidArgumentError("the configuration file's " + key + " must be a list of texts");
      joined += (joined.empty() ? "" : ",") + item.Scalar();
    }
    return joined;
  }
  return InvalidArgumentError("the configuration file's " + key + " must be a value or a list");
}

StatusOr<std::map<std::string, std::string>> ReadConfigFile(const std::string& path,
                                                            const Options& options) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxConfigBytes));
  std::map<std::string, std::string> values;
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return values;
    if (!root.IsMap()) return InvalidArgumentError(path + " must hold \"name: value\" lines");
    for (const auto& entry : root) {
      const std::string key = entry.first.Scalar();
      if (!options.contains(key)) {
        return InvalidArgumentError(path + " sets " + Quoted(key) +
                                    ", which is no option; see --help");
      }
      GRAFT_ASSIGN_OR_RETURN(values[key], YamlValue(key, entry.second));
    }
  } catch (const YAML::Exception& error) {
    return InvalidArgumentError(path + " is not valid YAML: " + error.what());
  }
  return values;
}

/// Gives `option` a value that `source` has for it.
Status Set(command_line::Option& option, const std::string& name, const std::string& value,
           const std::string& source) {
  const Status status = option.Set(value);
  if (status.ok()) return status;
  return InvalidArgumentError(
      fmt::format("{} {} is no value for {}: {}", source, Quoted(value), name, status.message()));
}

Status Check(const Config& config) {
  if (config.workers != "auto" && config.workers != "none") {
    int n = 0;
    const auto [end, error] =
        std::from_chars(config.workers.data(), config.workers.data() + config.workers.size(), n);
    if (error != std::errc() || end != config.workers.data() + config.workers.size() || n < 1 ||
        n > 1024) {
      return InvalidArgumentError("--workers is " + Quoted(config.workers) +
                                  "; it may be auto, none, or a number from 1 to 1024");
    }
  }
  for (const auto& [name, value] :
       {std::pair{"listen", config.listen}, {"metrics", config.metrics}, {"http", config.http}}) {
    if (std::string_view(name) != "listen" && value == "none") continue;
    auto address = ParseAddress(value);
    if (!address.ok())
      return InvalidArgumentError(fmt::format("--{}: {}", name, address.status().message()));
    if (!address->loopback && !config.insecure) {
      return InvalidArgumentError(
          fmt::format("--{} {} can be reached from other machines, and TLS and tokens are not "
                      "built yet; listen on 127.0.0.1, or "
                      "say --insecure if the network is trusted",
                      name, value));
    }
  }
  return OkStatus();
}

}  // namespace

std::string Address::ToString() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

StatusOr<Address> ParseAddress(const std::string& text) {
  const auto bad = [&] {
    return InvalidArgumentError(Quoted(text) +
                                " is no address like 127.0.0.1:7070 (port 0 picks a free one)");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad();
  Address address;
  address.host = text.substr(0, colon);
  if (address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    return bad();
  }
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(begin, end, address.port);
  if (error != std::errc() || stop != end || address.host.empty() || address.port < 0 ||
      address.port > 65535) {
    return bad();
  }
  address.loopback =
      address.host == "localhost" || address.host == "::1" || address.host.starts_with("127.");
  return address;
}

StatusOr<Invocation> ParseCommandLine(int argc, const char* const* argv, Environment environment) {
  Invocation invocation;
  command_line::CommandLine line(
      "graft-server", "graft-server 0.1.0",
      "graft-server: admits, validates and queues finetuning jobs, keeps adapters and routes "
      "requests to workers.\nEvery option may also stand in the --config file under the same name, "
      "or in a variable GRAFT_<NAME>; a flag wins over the file, the file over a variable.\nTraces "
      "go to the collector of OpenTelemetry's that "
      "OTEL_EXPORTER_OTLP_ENDPOINT names, if it is set.");
  std::string config_file;
  bool list_failpoints = false;
  Options options = AddOptions(line.root(), invocation.config);
  line.root().Add("--config", config_file, "YAML file with the options above");
  line.root().AddFlag("--list-failpoints", list_failpoints,
                      "Print the names of all failpoints and exit");
  line.AddScriptOptions();
  if (const auto answer = line.Parse(argc, argv)) {
    if (answer->is_fault) return InvalidArgumentError(answer->message + " (see --help)");
    invocation.action = Invocation::Action::kPrintAndExit;
    invocation.text = answer->text;
    return invocation;
  }
  if (list_failpoints) {
    invocation.action = Invocation::Action::kPrintAndExit;
    for (const std::string_view name : FailpointNames())
      invocation.text += std::string(name) + "\n";
    return invocation;
  }

  if (const char* path = environment("GRAFT_CONFIG"); config_file.empty() && path != nullptr)
    config_file = path;
  std::map<std::string, std::string> file;
  if (!config_file.empty()) {
    GRAFT_ASSIGN_OR_RETURN(file, ReadConfigFile(config_file, options));
  }
  for (auto& [name, option] : options) {
    if (option.is_given()) continue;
    if (const auto found = file.find(name); found != file.end()) {
      GRAFT_RETURN_IF_ERROR(Set(option, name, found->second, config_file + ":"));
    } else if (const char* value = environment(VariableName(name).c_str()); value != nullptr) {
      GRAFT_RETURN_IF_ERROR(Set(option, name, value, "the variable " + VariableName(name) + ":"));
    }
  }
  GRAFT_RETURN_IF_ERROR(Check(invocation.config));
  return invocation;
}

}  // namespace graft::server::app
