#include "server/stores/row_json.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/json.h"

namespace graft::server::stores {
namespace {

using core::Job;
using core::JobEvent;

/// `Row` as it is or const: one list of fields serves writing and reading.
template <typename T, typename Row>
concept Is = std::same_as<std::remove_const_t<T>, Row>;

void Fields(Is<ErrorDetail> auto& d, auto field) {
  field("reason", d.reason), field("field", d.field), field("line", d.line);
  field("column", d.column), field("message", d.message);
}
void Fields(Is<core::JobKey> auto& k, auto field) { field("tenant", k.tenant), field("id", k.id); }
void Fields(Is<core::JobError> auto& e, auto field) {
  field("code", e.code), field("message", e.message), field("details", e.details);
  field("omitted_details", e.omitted_details), field("fault", e.fault);
}
void Fields(Is<core::Attempt> auto& a, auto field) {
  field("number", a.number), field("worker", a.worker), field("start_time", a.start_time);
  field("end_time", a.end_time), field("end_reason", a.end_reason);
  field("end_message", a.end_message), field("first_step", a.first_step);
  field("last_step", a.last_step), field("made_checkpoint", a.made_checkpoint);
}
void Fields(Is<core::Progress> auto& p, auto field) {
  field("step", p.step), field("total_steps", p.total_steps), field("epoch", p.epoch);
  field("loss", p.loss), field("learning_rate", p.learning_rate), field("grad_norm", p.grad_norm);
  field("tokens_per_second", p.tokens_per_second), field("eta_seconds", p.eta_seconds);
  field("tokens", p.tokens);
}
void Fields(Is<core::Evaluation> auto& e, auto field) {
  field("step", e.step), field("split", e.split), field("examples", e.examples);
  field("loss", e.loss), field.Rest(e.metrics);
}
void Fields(Is<core::Sample> auto& s, auto field) {
  field("step", s.step), field("index", s.index), field("prompt", s.prompt);
  field("text", s.text), field("finish_reason", s.finish_reason), field("tokens", s.tokens);
}
void Fields(Is<report::MemoryNeed> auto& n, auto field) {
  field("whole", n.whole), field("least", n.least);
}
void Fields(Is<core::JobFacts> auto& f, auto field) {
  field("train_examples", f.train_examples), field("validation_examples", f.validation_examples);
  field("test_examples", f.test_examples), field("train_tokens", f.train_tokens);
  field("total_steps", f.total_steps), field("trainable_parameters", f.trainable_parameters);
  field("base_parameters", f.base_parameters), field("artifact_bytes", f.artifact_bytes);
  field("peak_memory_bytes", f.peak_memory_bytes), field("seconds", f.seconds);
  field("labels", f.labels), field("truncated_examples", f.truncated_examples);
  field("loss_tokens", f.loss_tokens), field("dropped_examples", f.dropped_examples);
  field("fp32_memory", f.fp32_memory), field("bf16_memory", f.bf16_memory);
}
void Fields(Is<core::Lease> auto& l, auto field) {
  field("worker", l.worker), field("token", l.token), field("expiry", l.expiry);
  field("last_progress", l.last_progress), field("step", l.step);
  field("activity", l.activity), field("holds_memory", l.holds_memory);
}
void Fields(Is<core::KeptSamples> auto& s, auto field) {
  field("bytes", s.bytes), field("step", s.step), field("index", s.index);
  field("is_thinned", s.is_thinned);
}
void Fields(Is<core::KeptCheckpoint> auto& k, auto field) {
  field("step", k.step), field("version", k.version);
}
void Fields(Is<core::Checkpoint> auto& c, auto field) {
  field("key", c.key), field("sha256", c.sha256), field("step", c.step);
}
void Fields(Is<core::Alias> auto& a, auto field) {
  field("version", a.version), field("history", a.history);
}
void Fields(Is<Job> auto& j, auto field) {
  field("key", j.key), field("spec_json", j.spec_json), field("base", j.base);
  field("adapter", j.adapter), field("labels", j.labels), field("priority", j.priority);
  field("request_id", j.request_id), field("request_sha256", j.request_sha256);
  field("request_hash_kind", j.request_hash_kind);
  field("state", j.state), field("desired_state", j.desired_state);
  field("state_reason", j.state_reason), field("not_before", j.not_before);
  field("create_time", j.create_time), field("queue_time", j.queue_time);
  field("start_time", j.start_time), field("end_time", j.end_time), field("error", j.error);
  field("attempts", j.attempts), field("lease", j.lease), field("checkpoint", j.checkpoint);
  field("progress", j.progress), field("evaluations", j.evaluations), field("facts", j.facts);
  field("samples", j.samples), field("kept", j.kept);
  field("dataset_sha256", j.dataset_sha256), field("init_from_sha256", j.init_from_sha256);
  field("init_from_prefix", j.init_from_prefix), field("version_sha256", j.version_sha256);
  field("version_number", j.version_number), field("base_fingerprint", j.base_fingerprint);
  field("tokenizer", j.tokenizer), field("traceparent", j.traceparent);
  field("tracestate", j.tracestate);
  field("warnings", j.warnings), field("resolved_precision", j.resolved_precision);
  field("num_events", j.num_events), field("revision", j.revision);
}
void Fields(Is<JobEvent> auto& e, auto field) {
  field("number", e.number), field("time", e.time), field("kind", e.kind), field("from", e.from);
  field("to", e.to), field("reason", e.reason), field("error", e.error);
  field("progress", e.progress), field("evaluation", e.evaluation), field("sample", e.sample);
  field("checkpoint_step", e.checkpoint_step), field("checkpoint_bytes", e.checkpoint_bytes);
  field("text", e.text), field("sha256", e.sha256), field("promoted", e.promoted);
}
void Fields(Is<core::Adapter> auto& a, auto field) {
  field("tenant", a.tenant), field("id", a.id), field("base", a.base);
  field("create_time", a.create_time), field("latest_version", a.latest_version);
  field("aliases", a.aliases), field("revision", a.revision);
}
void Fields(Is<core::Version> auto& v, auto field) {
  field("tenant", v.tenant), field("adapter", v.adapter), field("number", v.number);
  field("sha256", v.sha256), field("artifact_prefix", v.artifact_prefix);
  field("create_time", v.create_time), field("base", v.base);
  field("base_fingerprint", v.base_fingerprint), field("base_proved", v.base_proved);
  field("method_json", v.method_json), field("label_names", v.label_names);
  field("max_length", v.max_length), field("parameters", v.parameters), field("bytes", v.bytes);
  field("job_id", v.job_id), field("traceparent", v.traceparent);
  field("request_id", v.request_id);
  field("evaluations", v.evaluations), field("description", v.description);
  field("kept_step", v.kept_step), field("checkpoint_step", v.checkpoint_step);
}

/// What a value that was never set looks like; such a field isn't written. Fields whose default
/// differs (a state, an attempt's number) are never zero.
bool IsNothing(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return true;
    case Json::value_t::boolean:
      return !json.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return json.get<int64_t>() == 0;
    case Json::value_t::number_float: {
      const double value = json.get<double>();
      return value == 0 && !std::signbit(value);
    }
    case Json::value_t::string:
      return json.get_ref<const std::string&>().empty();
    default:
      return json.empty();
  }
}

template <typename T>
Json Encode(const T& value);
template <typename T>
void Decode(const Json& json, T& value);

/// What Fields calls to write a row.
struct Writer {
  void operator()(const char* name, const auto& item) {
    if (Json encoded = Encode(item); !IsNothing(encoded)) json[name] = std::move(encoded);
  }
  /// Numbers by name, each as a key of its own; zeros too.
  void Rest(const std::map<std::string, double>& numbers) {
    for (const auto& [name, value] : numbers) json[name] = Encode(value);
  }
  Json& json;
};

/// What Fields calls to read a row.
struct Reader {
  void operator()(const char* name, auto& item) {
    named.push_back(name);
    if (const auto found = object.find(name); found != object.end()) Decode(found->second, item);
  }
  /// The numbers that no field has named so far. Requires: it stands last.
  void Rest(std::map<std::string, double>& numbers) {
    for (const auto& [name, item] : object) {
      const bool number = item.is_number() || item == "nan" || item == "inf" || item == "-inf";
      if (number && std::ranges::find(named, name) == named.end()) Decode(item, numbers[name]);
    }
  }
  const Json::object_t& object;
  std::vector<std::string_view> named = {};
};

template <typename T>
Json Encode(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<int>(value);
  } else if constexpr (std::is_same_v<T, double>) {
    // JSON has no words for these.
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return value;
  } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (requires { typename T::mapped_type; }) {
    Json json = Json::object();
    for (const auto& [key, item] : value) json[key] = Encode(item);
    return json;
  } else if constexpr (requires { value.capacity(); }) {
    Json json = Json::array();
    for (const auto& item : value) json.push_back(Encode(item));
    return json;
  } else if constexpr (requires { value.has_value(); }) {
    return value ? Encode(*value) : Json();
  } else {
    Json json = Json::object();
    Fields(value, Writer{json});
    return json;
  }
}

/// Throws Json::exception if the types don't fit.
template <typename T>
void Decode(const Json& json, T& value) {
  if constexpr (std::is_enum_v<T>) {
    value = static_cast<T>(json.get<int>());
  } else if constexpr (std::is_same_v<T, double>) {
    if (!json.is_string()) {
      value = json.get<double>();
    } else if (json.get_ref<const std::string&>() == "nan") {
      value = std::numeric_limits<double>::quiet_NaN();
    } else {
      const double infinity = std::numeric_limits<double>::infinity();
      value = json.get_ref<const std::string&>() == "inf" ? infinity : -infinity;
    }
  } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
    value = json.get<T>();
  } else if constexpr (requires { typename T::mapped_type; }) {
    for (const auto& [key, item] : json.get_ref<const Json::object_t&>()) Decode(item, value[key]);
  } else if constexpr (requires { value.capacity(); }) {
    for (const Json& item : json.get_ref<const Json::array_t&>()) {
      Decode(item, value.emplace_back());
    }
  } else if constexpr (requires { value.has_value(); }) {
    Decode(json, value.emplace());
  } else {
    Fields(value, Reader{json.get_ref<const Json::object_t&>()});
  }
}

template <typename Row>
std::string Write(const Row& row) {
  // Messages come from elsewhere; one bad byte must not lose a row.
  return Encode(row).dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename Row>
StatusOr<Row> Parse(std::string_view text, const char* what) {
  try {
    const Json json = Json::parse(text);
    Row row;
    Decode(json, row);
    return row;
  } catch (const Json::exception& error) {
    return DataLossError(std::string("the store holds a damaged ") + what + ": " + error.what());
  }
}

}  // namespace

std::string ToJson(const Job& job) { return Write(job); }
std::string ToJson(const JobEvent& event) { return Write(event); }
std::string ToJson(const core::Adapter& adapter) { return Write(adapter); }
std::string ToJson(const core::Version& version) { return Write(version); }

StatusOr<Job> JobFromJson(std::string_view text) { return Parse<Job>(text, "job"); }
StatusOr<JobEvent> EventFromJson(std::string_view text) { return Parse<JobEvent>(text, "event"); }
StatusOr<core::Adapter> AdapterFromJson(std::string_view text) {
  return Parse<core::Adapter>(text, "adapter");
}
StatusOr<core::Version> VersionFromJson(std::string_view text) {
  return Parse<core::Version>(text, "version");
}

}  // namespace graft::server::stores
