#include "common/otlp/settings.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

#include "common/base/utf8.h"
#include "common/otlp/percent.h"

namespace graft::otlp {
namespace {

/// The variables of the environment, by what they are for. An empty one is as one that isn't set.
class Variables {
 public:
  explicit Variables(Environment environment) : environment_(environment) {}

  std::string Text(const std::string& name) const {
    const char* value = environment_(name.c_str());
    return value == nullptr ? std::string() : value;
  }
  /// Of the exporter: what is said for traces alone comes first.
  struct Said {
    std::string name, value;
  };
  Said OfExporter(const std::string& what) const {
    std::string own = "OTEL_EXPORTER_OTLP_TRACES_" + what;
    if (std::string value = Text(own); !value.empty()) return {std::move(own), std::move(value)};
    std::string common = "OTEL_EXPORTER_OTLP_" + what;
    std::string value = Text(common);
    return {std::move(common), std::move(value)};
  }
  template <typename Number>
  Status Read(const std::string& name, Number least, Number most, Number& number) const {
    return Read(Said{name, Text(name)}, least, most, number);
  }
  template <typename Number>
  static Status Read(const Said& said, Number least, Number most, Number& number) {
    if (said.value.empty()) return OkStatus();
    const char* end = said.value.data() + said.value.size();
    const auto [stop, error] = std::from_chars(said.value.data(), end, number);
    if (error == std::errc() && stop == end && number >= least && number <= most) return OkStatus();
    return InvalidArgumentError(fmt::format("{} is {}; it may be a number from {} to {}", said.name,
                                            Quoted(said.value), least, most));
  }
  Status ReadMs(const Said& said, std::chrono::milliseconds& time) const {
    int64_t ms = time.count();
    GRAFT_RETURN_IF_ERROR(Read<int64_t>(said, 1, 86'400'000, ms));
    time = std::chrono::milliseconds(ms);
    return OkStatus();
  }
  Status ReadMs(const std::string& name, std::chrono::milliseconds& time) const {
    return ReadMs(Said{name, Text(name)}, time);
  }

 private:
  const Environment environment_;
};

/// Empty if no collector is named.
StatusOr<std::string> Url(const Variables& variables) {
  std::string name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  std::string url = variables.Text(name);
  if (url.empty()) {
    name = "OTEL_EXPORTER_OTLP_ENDPOINT";
    url = variables.Text(name);
    if (url.empty()) return url;
    url += url.ends_with('/') ? "v1/traces" : "/v1/traces";
  }
  if (url.starts_with("http://") || url.starts_with("https://")) return url;
  return InvalidArgumentError(
      fmt::format("{} is {}; it may be an address like http://127.0.0.1:4318", name,
                  Quoted(variables.Text(name))));
}

Status CheckProtocol(const Variables& variables) {
  const Variables::Said said = variables.OfExporter("PROTOCOL");
  // JSON and protobuf go to the same address: what the collector gets says which it is.
  if (said.value.empty() || said.value == "http/json" || said.value == "http/protobuf")
    return OkStatus();
  return InvalidArgumentError(
      fmt::format("{} is {}; graft sends traces by http/json only: name the collector's HTTP "
                  "address (usually port 4318) and http/json",
                  said.name, Quoted(said.value)));
}

/// Credentials stand in it: a fault is told without the value.
Status ReadHeaders(const Variables& variables, Settings& settings) {
  const Variables::Said said = variables.OfExporter("HEADERS");
  const auto list = ParseList(said.value);
  const auto is_line = [](const std::string& text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
  };
  const bool is_form = list.ok() && std::ranges::all_of(*list, [&](const auto& header) {
                         return is_line(header.first) && is_line(header.second) &&
                                header.first.find_first_of(": ") == std::string::npos;
                       });
  if (!is_form)
    return InvalidArgumentError(said.name + " isn't NAME=VALUE,NAME=VALUE with printable text");
  settings.headers = *list;
  return OkStatus();
}

Status ReadSampler(const Variables& variables, tracing::Sampler& sampler) {
  const std::string name = variables.Text("OTEL_TRACES_SAMPLER");
  constexpr std::string_view kFollows = "parentbased_";
  std::string_view rule = name;
  if (name.empty()) rule = "parentbased_always_on";
  sampler.follows_parent = rule.starts_with(kFollows);
  if (sampler.follows_parent) rule.remove_prefix(kFollows.size());
  if (rule == "always_on") return OkStatus();
  if (rule == "always_off") {
    sampler.ratio = 0;
    return OkStatus();
  }
  if (rule == "traceidratio")
    return variables.Read("OTEL_TRACES_SAMPLER_ARG", 0.0, 1.0, sampler.ratio);
  return InvalidArgumentError(fmt::format(
      "OTEL_TRACES_SAMPLER is {}; it may be always_on, always_off or traceidratio, each "
      "also with parentbased_ in front",
      Quoted(name)));
}

Status ReadResource(const Variables& variables, const std::string& program, Settings& settings) {
  const auto list = ParseList(variables.Text("OTEL_RESOURCE_ATTRIBUTES"));
  if (!list.ok())
    return InvalidArgumentError("OTEL_RESOURCE_ATTRIBUTES: " + list.status().message());
  std::string service = variables.Text("OTEL_SERVICE_NAME");
  for (const auto& [name, value] : *list) {
    if (name != "service.name") {
      settings.resource.push_back({name, value});
    } else if (service.empty()) {
      service = value;
    }
  }
  settings.resource.push_back({"service.name", service.empty() ? program : service});
  return OkStatus();
}

Status ReadQueue(const Variables& variables, Settings& settings) {
  GRAFT_RETURN_IF_ERROR(
      variables.Read<size_t>("OTEL_BSP_MAX_QUEUE_SIZE", 1, 1'000'000, settings.max_queue));
  GRAFT_RETURN_IF_ERROR(
      variables.Read<size_t>("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, 100'000, settings.max_batch));
  settings.max_batch = std::min(settings.max_batch, settings.max_queue);
  GRAFT_RETURN_IF_ERROR(variables.ReadMs("OTEL_BSP_SCHEDULE_DELAY", settings.delay));
  return variables.ReadMs("OTEL_BSP_EXPORT_TIMEOUT", settings.patience);
}

}  // namespace

StatusOr<std::optional<Settings>> ReadSettings(Environment environment,
                                               const std::string& program) {
  const Variables variables(environment);
  const std::string disabled = variables.Text("OTEL_SDK_DISABLED");
  const std::string exporter = variables.Text("OTEL_TRACES_EXPORTER");
  if (disabled == "true" || exporter == "none") return std::nullopt;
  GRAFT_ASSIGN_OR_RETURN(const std::string url, Url(variables));
  if (url.empty()) return std::nullopt;
  if (!exporter.empty() && exporter != "otlp")
    return InvalidArgumentError("OTEL_TRACES_EXPORTER is " + Quoted(exporter) +
                                "; it may be otlp or none");
  Settings settings;
  settings.url = url;
  GRAFT_RETURN_IF_ERROR(CheckProtocol(variables));
  GRAFT_RETURN_IF_ERROR(ReadHeaders(variables, settings));
  GRAFT_RETURN_IF_ERROR(variables.ReadMs(variables.OfExporter("TIMEOUT"), settings.timeout));
  if (const Variables::Said said = variables.OfExporter("COMPRESSION");
      !said.value.empty() && said.value != "none")
    settings.notes.push_back(said.name + " is " + said.value + ": traces are sent uncompressed");
  settings.certificate = variables.OfExporter("CERTIFICATE").value;
  settings.client_certificate = variables.OfExporter("CLIENT_CERTIFICATE").value;
  settings.client_key = variables.OfExporter("CLIENT_KEY").value;
  GRAFT_RETURN_IF_ERROR(ReadSampler(variables, settings.sampler));
  GRAFT_RETURN_IF_ERROR(ReadResource(variables, program, settings));
  GRAFT_RETURN_IF_ERROR(ReadQueue(variables, settings));
  return settings;
}

}  // namespace graft::otlp
