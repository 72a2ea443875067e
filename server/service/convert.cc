#include "server/service/convert.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include "common/base/sha256.h"
#include "common/base/utf8.h"
#include "proto/error_info.h"
#include "proto/report.h"
#include "server/background/job_trace.h"
#include "server/core/jobs.h"

namespace graft::server::service {

StatusOr<Json> MessageToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
      !status.ok()) {
    return InvalidArgumentError("the spec cannot be read: " + std::string(status.message()));
  }
  return ParseJson(text, "the spec");
}

google::protobuf::Timestamp ToTimestamp(TimeUs time) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(time / 1'000'000);
  timestamp.set_nanos(static_cast<int32_t>(time % 1'000'000 * 1000));
  return timestamp;
}

graft::v1::JobState ToProto(core::JobState state) {
  switch (state) {
    case core::JobState::kValidating:
      return graft::v1::VALIDATING;
    case core::JobState::kQueued:
      return graft::v1::QUEUED;
    case core::JobState::kRunning:
      return graft::v1::RUNNING;
    case core::JobState::kPaused:
      return graft::v1::PAUSED;
    case core::JobState::kSucceeded:
      return graft::v1::SUCCEEDED;
    case core::JobState::kFailed:
      return graft::v1::FAILED;
    case core::JobState::kCancelled:
      return graft::v1::CANCELLED;
  }
  return graft::v1::JOB_STATE_UNSPECIFIED;
}

bool IsTerminal(graft::v1::JobState state) {
  return state == graft::v1::SUCCEEDED || state == graft::v1::FAILED ||
         state == graft::v1::CANCELLED;
}

graft::v1::ErrorInfo ToProto(const core::JobError& error) {
  graft::v1::ErrorInfo info = proto::ToErrorInfo(ToStatus(error));
  info.set_omitted_details(info.omitted_details() + error.omitted_details);
  info.set_fault(error.fault);
  return info;
}

graft::v1::Job ToProto(const core::Job& job) {
  graft::v1::Job message;
  if (!job.key.id.empty()) message.set_name(JobName(job.key.id));
  // A spec from a newer build may not be readable; the rest of the job still is.
  if (auto spec = SpecToProto(job.spec_json); spec.ok()) *message.mutable_spec() = std::move(*spec);
  message.set_state(ToProto(job.state));
  message.set_desired_state(ToProto(job.desired_state));
  *message.mutable_create_time() = ToTimestamp(job.create_time);
  if (job.queue_time != 0) *message.mutable_queue_time() = ToTimestamp(job.queue_time);
  if (job.start_time != 0) *message.mutable_start_time() = ToTimestamp(job.start_time);
  if (job.end_time != 0) *message.mutable_end_time() = ToTimestamp(job.end_time);
  if (job.error) *message.mutable_error() = ToProto(*job.error);
  for (const core::Attempt& attempt : job.attempts) {
    graft::v1::Attempt& a = *message.add_attempts();
    a.set_number(attempt.number);
    a.set_worker(attempt.worker);
    *a.mutable_start_time() = ToTimestamp(attempt.start_time);
    if (attempt.end_time != 0) *a.mutable_end_time() = ToTimestamp(attempt.end_time);
    a.set_end_reason(attempt.end_reason);
    a.set_first_step(attempt.first_step);
    a.set_last_step(attempt.last_step);
  }
  if (job.progress.total_steps != 0) *message.mutable_progress() = proto::ToProto(job.progress);
  for (const core::Evaluation& evaluation : job.evaluations) {
    *message.add_evaluations() = proto::ToProto(evaluation);
  }
  *message.mutable_facts() = proto::ToProto(job.facts);
  message.set_dataset_sha256(job.dataset_sha256);
  if (job.version_number != 0)
    message.set_adapter_version(VersionName(job.adapter, job.version_number));
  message.set_adapter_version_sha256(job.version_sha256);
  message.set_etag(std::to_string(job.revision));
  for (const std::string& warning : job.warnings) message.add_warnings(warning);
  message.set_resolved_precision(job.resolved_precision);
  message.set_trace_id(background::TraceOf(job).trace_id);
  return message;
}

graft::v1::JobEvent ToProto(const core::JobEvent& event) {
  graft::v1::JobEvent message;
  message.set_number(event.number);
  *message.mutable_time() = ToTimestamp(event.time);
  switch (event.kind) {
    case core::EventKind::kStateChange: {
      graft::v1::StateChange& change = *message.mutable_state_change();
      // The first event creates the job: it has no state to come from.
      if (event.number != 1) change.set_from(ToProto(event.from));
      change.set_to(ToProto(event.to));
      change.set_reason(event.reason);
      if (event.error) *change.mutable_error() = ToProto(*event.error);
      break;
    }
    case core::EventKind::kProgress:
      *message.mutable_progress() = proto::ToProto(event.progress);
      break;
    case core::EventKind::kEvaluation:
      *message.mutable_evaluation() = proto::ToProto(event.evaluation);
      break;
    case core::EventKind::kCheckpoint:
      message.mutable_checkpoint()->set_step(event.checkpoint_step);
      message.mutable_checkpoint()->set_bytes(event.checkpoint_bytes);
      message.mutable_checkpoint()->set_adapter_version(event.text);
      message.mutable_checkpoint()->set_sha256(event.sha256);
      if (event.evaluation.step > 0)
        *message.mutable_checkpoint()->mutable_evaluation() = proto::ToProto(event.evaluation);
      break;
    case core::EventKind::kWarning:
      message.set_warning(event.text);
      break;
    case core::EventKind::kSample:
      *message.mutable_sample() = proto::ToProto(event.sample);
      break;
    case core::EventKind::kVersionCreated:
      message.mutable_version_created()->set_adapter_version(event.text);
      message.mutable_version_created()->set_sha256(event.sha256);
      message.mutable_version_created()->set_promoted(event.promoted);
      break;
  }
  return message;
}

graft::v1::Dataset ToProto(const intake::Upload& upload) {
  graft::v1::Dataset message;
  message.set_name("datasets/" + upload.sha256);
  message.set_bytes(upload.bytes);
  message.set_uri(intake::UploadUri(upload.sha256, upload.file_name));
  message.set_file_name(upload.file_name);
  *message.mutable_create_time() = ToTimestamp(upload.create_time);
  return message;
}

graft::v1::Adapter ToProto(const core::Adapter& adapter) {
  graft::v1::Adapter message;
  message.set_name(AdapterName(adapter.id));
  *message.mutable_create_time() = ToTimestamp(adapter.create_time);
  for (const auto& [name, alias] : adapter.aliases)
    (*message.mutable_aliases())[name] = alias.version;
  message.set_latest_version(adapter.latest_version);
  message.set_base(adapter.base);
  message.set_etag(std::to_string(adapter.revision));
  return message;
}

graft::v1::AdapterVersion ToProto(const core::Version& version, const core::Adapter& adapter) {
  graft::v1::AdapterVersion message;
  message.set_name(VersionName(version.adapter, version.number));
  message.set_sha256(version.sha256);
  *message.mutable_create_time() = ToTimestamp(version.create_time);
  message.set_base(version.base);
  message.set_base_fingerprint(version.base_fingerprint);
  message.set_base_proved(version.base_proved);
  if (!version.method_json.empty()) {
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    (void)google::protobuf::util::JsonStringToMessage(version.method_json, message.mutable_method(),
                                                      options);
  }
  for (const std::string& label : version.label_names) message.add_label_names(label);
  message.set_max_length(version.max_length);
  message.set_parameters(version.parameters);
  message.set_bytes(version.bytes);
  if (!version.job_id.empty()) message.set_job(JobName(version.job_id));
  for (const core::Evaluation& evaluation : version.evaluations) {
    *message.add_evaluations() = proto::ToProto(evaluation);
  }
  for (const auto& [name, alias] : adapter.aliases) {
    if (alias.version == version.number) message.add_aliases(name);
  }
  message.set_description(version.description);
  message.set_kept_step(version.kept_step);
  message.set_checkpoint_step(version.checkpoint_step);
  return message;
}

Status Retold(const Status& fault, StatusCode code, std::string message) {
  Status retold(code, std::move(message));
  for (const ErrorDetail& detail : fault.details()) retold.AddDetail(detail);
  return retold;
}

Status ToStatus(const core::JobError& error) {
  Status status(error.code, error.message);
  for (const ErrorDetail& detail : error.details) status.AddDetail(detail);
  return status;
}

core::JobError FromProto(const graft::v1::ErrorInfo& error) {
  core::JobError out = core::ToJobError(proto::FromErrorInfo(error));
  out.omitted_details += error.omitted_details();
  if (!error.fault().empty()) out.fault = proto::CutText(error.fault(), 16);
  return out;
}

StatusOr<core::JobEvent> FromProto(const graft::v1::JobEvent& message) {
  core::JobEvent event;
  switch (message.kind_case()) {
    case graft::v1::JobEvent::kProgress:
      event.kind = core::EventKind::kProgress;
      event.progress = proto::FromProto(message.progress());
      return event;
    case graft::v1::JobEvent::kEvaluation:
      event.kind = core::EventKind::kEvaluation;
      event.evaluation = proto::FromProto(message.evaluation());
      return event;
    case graft::v1::JobEvent::kCheckpoint:
      event.kind = core::EventKind::kCheckpoint;
      event.checkpoint_step = message.checkpoint().step();
      event.checkpoint_bytes = message.checkpoint().bytes();
      return event;
    case graft::v1::JobEvent::kWarning:
      event.kind = core::EventKind::kWarning;
      event.text = proto::CutText(message.warning(), proto::kMaxMessageBytes);
      return event;
    case graft::v1::JobEvent::kSample:
      event.kind = core::EventKind::kSample;
      event.sample = proto::FromProto(message.sample());
      return event;
    case graft::v1::JobEvent::kStateChange:
    case graft::v1::JobEvent::kVersionCreated:
    case graft::v1::JobEvent::KIND_NOT_SET:
      break;
  }
  return InvalidArgumentError(
             "a worker reports progress, evaluations, samples, checkpoints and warnings only")
      .At("leases.events");
}

StatusOr<spec::JobSpec> FromProto(const graft::v1::JobSpec& message) {
  GRAFT_ASSIGN_OR_RETURN(const Json json, MessageToJson(message));
  return spec::FromJson(json);
}

StatusOr<spec::DatasetSpec> FromProto(const graft::v1::DatasetSpec& message, tasks::Kind kind) {
  GRAFT_ASSIGN_OR_RETURN(const Json json, MessageToJson(message));
  return spec::DatasetFromJson(json, kind);
}

StatusOr<graft::v1::JobSpec> SpecToProto(const std::string& spec_json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  graft::v1::JobSpec message;
  if (const auto status = google::protobuf::util::JsonStringToMessage(spec_json, &message, options);
      !status.ok()) {
    return DataLossError("a stored spec cannot be read: " + std::string(status.message()));
  }
  return message;
}

StatusOr<std::string> ParseName(const std::string& name, std::string_view collection,
                                std::string_view field) {
  const std::string prefix = std::string(collection) + "/";
  const std::string id = name.starts_with(prefix) ? name.substr(prefix.size()) : "";
  const bool is_name = collection == "bases" ? IsValidBaseName(id) : IsValidName(id);
  if (!is_name && !IsSha256Hex(id)) {
    return InvalidArgumentError(
               fmt::format("{} is no name of the form {}<id>", Quoted(name, 128), prefix))
        .At(std::string(field));
  }
  return id;
}

std::string JobName(const std::string& id) { return "jobs/" + id; }
std::string AdapterName(const std::string& id) { return "adapters/" + id; }
std::string VersionName(const std::string& adapter, int64_t number) {
  return fmt::format("adapters/{}/versions/{}", adapter, number);
}

}  // namespace graft::server::service
