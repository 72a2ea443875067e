#include "common/otlp/settings.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

#include "common/base/utf8.h"
#include "common/otlp/name_values.h"

namespace graft::otlp {
namespace {

/// The variables of the environment, by what they are for. An empty one is as one that isn't set.
class Variables {
 public:
  /// `notes` gets a sentence for each that can't be read.
  Variables(Environment environment, std::vector<std::string>& notes)
      : environment_(environment), notes_(notes) {}

  struct Said {
    std::string name, value;
  };
  Said Get(const std::string& name) const {
    const char* value = environment_(name.c_str());
    return {name, value == nullptr ? "" : value};
  }
  /// Of the exporter: what is said for traces alone comes first.
  Said OfExporter(const std::string& what) const {
    Said own = Get("OTEL_EXPORTER_OTLP_TRACES_" + what);
    return own.value.empty() ? Get("OTEL_EXPORTER_OTLP_" + what) : own;
  }
  /// Leaves `number` as it is if it isn't said, or can't be.
  template <typename Number>
  void Read(const Said& said, Number least, Number most, Number& number) {
    if (said.value.empty()) return;
    Number read{};
    const char* end = said.value.data() + said.value.size();
    const auto [stop, error] = std::from_chars(said.value.data(), end, read);
    if (error == std::errc() && stop == end && read >= least && read <= most) {
      number = read;
    } else {
      Note(said, fmt::format("it may be a number from {} to {}", least, most));
    }
  }
  void ReadMs(const Said& said, std::chrono::milliseconds& time) {
    int64_t ms = time.count();
    Read<int64_t>(said, 0, 86'400'000, ms);
    time = std::chrono::milliseconds(ms);
  }
  void Note(const Said& said, const std::string& why) {
    Tell(said.name + " is " + Quoted(said.value) + ", which has no effect: " + why);
  }
  void Tell(std::string note) { notes_.push_back(std::move(note)); }

 private:
  const Environment environment_;
  std::vector<std::string>& notes_;
};

bool IsTrue(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "true";
}

/// What `said` refuses, by its name.
Status Refused(const Variables::Said& said, const std::string& why) {
  return InvalidArgumentError(said.name + ": " + why);
}

/// Nothing if no collector is named.
StatusOr<std::optional<Url>> ReadUrl(Variables& variables) {
  Variables::Said said = variables.Get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  std::string path;
  if (said.value.empty()) {
    said = variables.Get("OTEL_EXPORTER_OTLP_ENDPOINT");
    path = "/v1/traces";
  }
  if (said.value.empty()) return std::nullopt;
  StatusOr<Url> url = ParseUrl(said.value, path);
  if (!url.ok()) return Refused(said, url.status().message());
  if (url->whole.find(":4317/") != std::string::npos)
    variables.Tell(said.name +
                   " names port 4317, usually that of gRPC; traces go by HTTP, whose "
                   "port usually is 4318");
  return *std::move(url);
}

Status CheckProtocol(Variables& variables) {
  const Variables::Said said = variables.OfExporter("PROTOCOL");
  if (said.value.empty() || said.value == "http/json") return OkStatus();
  if (said.value != "grpc") {
    // To the same address: what the collector gets says which it is.
    variables.Note(said, "traces are sent as http/json");
    return OkStatus();
  }
  return Refused(said,
                 "graft sends traces by http/json only; name the collector's HTTP address, usually "
                 "port 4318, and http/json");
}

/// Credentials stand in it: a fault is told without the value.
Status ReadHeaders(Variables& variables, Settings& settings) {
  const Variables::Said said = variables.OfExporter("HEADERS");
  const auto list = ParseNameValues(said.value);
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

void ReadSampler(Variables& variables, tracing::Sampler& sampler) {
  const Variables::Said said = variables.Get("OTEL_TRACES_SAMPLER");
  constexpr std::string_view kFollows = "parentbased_";
  std::string_view rule = said.value;
  const bool follows = rule.starts_with(kFollows);
  if (follows) rule.remove_prefix(kFollows.size());
  const Variables::Said ratio = variables.Get("OTEL_TRACES_SAMPLER_ARG");
  if (rule == "traceidratio") {
    sampler.follows_parent = follows;
    variables.Read(ratio, 0.0, 1.0, sampler.ratio);
    return;
  }
  if (!ratio.value.empty()) variables.Note(ratio, "only traceidratio takes one");
  if (rule == "always_on" || rule == "always_off") {
    sampler.follows_parent = follows;
    sampler.ratio = rule == "always_on" ? 1 : 0;
  } else if (!said.value.empty()) {
    variables.Note(
        said,
        "it may be always_on, always_off or traceidratio, each also with parentbased_ in "
        "front");
  }
}

void ReadResource(Variables& variables, const std::string& program, Resource& resource) {
  const Variables::Said said = variables.Get("OTEL_RESOURCE_ATTRIBUTES");
  const auto list = ParseNameValues(said.value);
  if (!list.ok()) {
    variables.Note(said, list.status().message());
  } else {
    for (const auto& [name, value] : *list) Set(resource, name, value);
  }
  const Variables::Said service = variables.Get("OTEL_SERVICE_NAME");
  if (!service.value.empty()) {
    Set(resource, "service.name", service.value);
  } else {
    SetIfAbsent(resource, "service.name", program);
  }
}

void ReadQueue(Variables& variables, Settings& settings) {
  variables.Read<size_t>(variables.Get("OTEL_BSP_MAX_QUEUE_SIZE"), 1, 1'000'000,
                         settings.max_queue);
  const Variables::Said batch = variables.Get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
  variables.Read<size_t>(batch, 1, 100'000, settings.max_batch);
  if (settings.max_batch > settings.max_queue) {
    if (!batch.value.empty()) variables.Note(batch, "the queue holds fewer");
    settings.max_batch = settings.max_queue;
  }
  variables.ReadMs(variables.Get("OTEL_BSP_SCHEDULE_DELAY"), settings.delay);
  variables.ReadMs(variables.Get("OTEL_BSP_EXPORT_TIMEOUT"), settings.patience);
}

StatusOr<std::string> ReadableFile(const Variables::Said& said) {
  if (said.value.empty() || ::access(said.value.c_str(), R_OK) == 0) return said.value;
  return Refused(said, "there is no file that can be read at " + Quoted(said.value));
}

/// Of what OpenTelemetry's programs know and graft doesn't.
void NoteOthers(Variables& variables) {
  const Variables::Said propagators = variables.Get("OTEL_PROPAGATORS");
  if (!propagators.value.empty() && propagators.value.find("tracecontext") == std::string::npos)
    variables.Note(propagators, "graft reads and sends tracecontext");
  const Variables::Said compression = variables.OfExporter("COMPRESSION");
  if (!compression.value.empty() && compression.value != "none")
    variables.Note(compression, "traces are sent uncompressed");
}

}  // namespace

StatusOr<std::optional<Settings>> ReadSettings(Environment environment,
                                               const std::string& program) {
  Settings settings;
  Variables variables(environment, settings.notes);
  const Variables::Said exporter = variables.Get("OTEL_TRACES_EXPORTER");
  if (IsTrue(variables.Get("OTEL_SDK_DISABLED").value) || exporter.value == "none")
    return std::nullopt;
  GRAFT_ASSIGN_OR_RETURN(std::optional<Url> url, ReadUrl(variables));
  if (!url) return std::nullopt;
  settings.url = *std::move(url);
  if (!exporter.value.empty() && exporter.value != "otlp")
    variables.Note(exporter, "it may be otlp or none");
  GRAFT_RETURN_IF_ERROR(CheckProtocol(variables));
  GRAFT_RETURN_IF_ERROR(ReadHeaders(variables, settings));
  variables.ReadMs(variables.OfExporter("TIMEOUT"), settings.timeout);
  GRAFT_ASSIGN_OR_RETURN(settings.certificate, ReadableFile(variables.OfExporter("CERTIFICATE")));
  GRAFT_ASSIGN_OR_RETURN(settings.client_certificate,
                         ReadableFile(variables.OfExporter("CLIENT_CERTIFICATE")));
  GRAFT_ASSIGN_OR_RETURN(settings.client_key, ReadableFile(variables.OfExporter("CLIENT_KEY")));
  ReadSampler(variables, settings.sampler);
  ReadResource(variables, program, settings.resource);
  ReadQueue(variables, settings);
  NoteOthers(variables);
  return settings;
}

}  // namespace graft::otlp
