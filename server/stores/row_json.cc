#include "server/stores/row_json.h"

#include "common/base/json.h"

// nlohmann finds to_json and from_json beside the types. _WITH_DEFAULT: an absent field keeps its default.
namespace graft {

static void to_json(Json& j, const ErrorDetail& d) {
  j = {{"reason", d.reason}, {"field", d.field}, {"line", d.line}, {"column", d.column}, {"message", d.message}};
}
static void from_json(const Json& j, ErrorDetail& d) {
  d.reason = j.value("reason", "");
  d.field = j.value("field", "");
  d.line = j.value("line", int64_t{0});
  d.column = j.value("column", "");
  d.message = j.value("message", "");
}

namespace server::core {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(JobKey, tenant, id)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(JobError, code, message, details, omitted_details)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Attempt, number, worker, start_time, end_time, end_reason, first_step,
                                                last_step, made_checkpoint)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Progress, step, total_steps, epoch, loss, learning_rate, grad_norm,
                                                tokens_per_second, eta_seconds, tokens)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Evaluation, step, split, examples, loss, accuracy, macro_f1)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(JobFacts, train_examples, validation_examples, test_examples,
                                                train_tokens, total_steps, trainable_parameters, base_parameters,
                                                artifact_bytes, peak_memory_bytes, seconds, labels, truncated_examples)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Lease, worker, token, expiry, last_progress, step)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Checkpoint, key, sha256, step)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Alias, version, history)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Adapter, tenant, id, base, create_time, latest_version, aliases, revision)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Version, tenant, adapter, number, sha256, artifact_prefix, create_time,
                                                base, base_fingerprint, base_proved, method_json, label_names, max_length,
                                                parameters, bytes, job_id, request_id, evaluations, description)

}  // namespace server::core

namespace server::stores {
namespace {

using core::Job;
using core::JobEvent;

Json ErrorOrNull(const std::optional<core::JobError>& error) { return error ? Json(*error) : Json(); }

std::optional<core::JobError> ReadError(const Json& json) {
  const Json error = json.value("error", Json());
  if (error.is_null()) return {};
  return error.get<core::JobError>();
}

/// Runs `read` on the parsed document.
template <typename Row, typename Read>
StatusOr<Row> Parse(const std::string& text, const char* what, Read&& read) {
  try {
    return read(Json::parse(text));
  } catch (const Json::exception& error) {
    return DataLossError(std::string("the store holds a damaged ") + what + ": " + error.what());
  }
}

}  // namespace

std::string ToJson(const Job& job) {
  return Json{{"key", job.key},
              {"spec_json", job.spec_json},
              {"base", job.base},
              {"adapter", job.adapter},
              {"labels", job.labels},
              {"priority", job.priority},
              {"request_id", job.request_id},
              {"request_sha256", job.request_sha256},
              {"state", job.state},
              {"desired_state", job.desired_state},
              {"create_time", job.create_time},
              {"queue_time", job.queue_time},
              {"start_time", job.start_time},
              {"end_time", job.end_time},
              {"error", ErrorOrNull(job.error)},
              {"attempts", job.attempts},
              {"lease", job.lease},
              {"checkpoint", job.checkpoint},
              {"progress", job.progress},
              {"evaluations", job.evaluations},
              {"facts", job.facts},
              {"dataset_sha256", job.dataset_sha256},
              {"init_from_sha256", job.init_from_sha256},
              {"version_sha256", job.version_sha256},
              {"version_number", job.version_number},
              {"warnings", job.warnings},
              {"resolved_precision", job.resolved_precision},
              {"num_events", job.num_events},
              {"revision", job.revision}}
      .dump();
}

StatusOr<Job> JobFromJson(const std::string& text) {
  return Parse<Job>(text, "job", [](const Json& j) {
    Job job;
    const auto read = [&](const char* name, auto& field) {
      if (j.contains(name)) j.at(name).get_to(field);
    };
    read("key", job.key);
    read("spec_json", job.spec_json);
    read("base", job.base);
    read("adapter", job.adapter);
    read("labels", job.labels);
    read("priority", job.priority);
    read("request_id", job.request_id);
    read("request_sha256", job.request_sha256);
    read("state", job.state);
    read("desired_state", job.desired_state);
    read("create_time", job.create_time);
    read("queue_time", job.queue_time);
    read("start_time", job.start_time);
    read("end_time", job.end_time);
    job.error = ReadError(j);
    read("attempts", job.attempts);
    read("lease", job.lease);
    read("checkpoint", job.checkpoint);
    read("progress", job.progress);
    read("evaluations", job.evaluations);
    read("facts", job.facts);
    read("dataset_sha256", job.dataset_sha256);
    read("init_from_sha256", job.init_from_sha256);
    read("version_sha256", job.version_sha256);
    read("version_number", job.version_number);
    read("warnings", job.warnings);
    read("resolved_precision", job.resolved_precision);
    read("num_events", job.num_events);
    read("revision", job.revision);
    return job;
  });
}

std::string ToJson(const JobEvent& e) {
  Json json = {{"number", e.number}, {"time", e.time}, {"kind", e.kind}};
  switch (e.kind) {
    case core::EventKind::kStateChange:
      json.update({{"from", e.from}, {"to", e.to}, {"reason", e.reason}, {"error", ErrorOrNull(e.error)}});
      break;
    case core::EventKind::kProgress:
      json["progress"] = e.progress;
      break;
    case core::EventKind::kEvaluation:
      json["evaluation"] = e.evaluation;
      break;
    case core::EventKind::kCheckpoint:
      json.update({{"checkpoint_step", e.checkpoint_step}, {"checkpoint_bytes", e.checkpoint_bytes}});
      break;
    case core::EventKind::kWarning:
      json["text"] = e.text;
      break;
    case core::EventKind::kVersionCreated:
      json.update({{"text", e.text}, {"sha256", e.sha256}, {"promoted", e.promoted}});
      break;
  }
  return json.dump();
}

StatusOr<JobEvent> EventFromJson(const std::string& text) {
  return Parse<JobEvent>(text, "event", [](const Json& j) {
    JobEvent e;
    const auto read = [&](const char* name, auto& field) {
      if (j.contains(name)) j.at(name).get_to(field);
    };
    read("number", e.number);
    read("time", e.time);
    read("kind", e.kind);
    read("from", e.from);
    read("to", e.to);
    read("reason", e.reason);
    e.error = ReadError(j);
    read("progress", e.progress);
    read("evaluation", e.evaluation);
    read("checkpoint_step", e.checkpoint_step);
    read("checkpoint_bytes", e.checkpoint_bytes);
    read("text", e.text);
    read("sha256", e.sha256);
    read("promoted", e.promoted);
    return e;
  });
}

std::string ToJson(const core::Adapter& adapter) { return Json(adapter).dump(); }
std::string ToJson(const core::Version& version) { return Json(version).dump(); }

StatusOr<core::Adapter> AdapterFromJson(const std::string& text) {
  return Parse<core::Adapter>(text, "adapter", [](const Json& j) { return j.get<core::Adapter>(); });
}
StatusOr<core::Version> VersionFromJson(const std::string& text) {
  return Parse<core::Version>(text, "version", [](const Json& j) { return j.get<core::Version>(); });
}

}  // namespace server::stores
}  // namespace graft
