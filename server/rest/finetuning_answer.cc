#include "server/rest/finetuning_answer.h"

#include <ctime>

#include <fmt/format.h>

#include "common/spec/default_learning_rate.h"
#include "server/rest/files.h"
#include "server/rest/transcode.h"
#include "server/service/convert.h"

namespace graft::server::rest {
namespace {

namespace v1 = graft::v1;

const char* StatusOf(v1::JobState state) {
  switch (state) {
    case v1::VALIDATING:
      return "validating_files";
    case v1::QUEUED:
      return "queued";
    case v1::RUNNING:
      return "running";
    case v1::PAUSED:
      return "paused";
    case v1::SUCCEEDED:
      return "succeeded";
    case v1::FAILED:
      return "failed";
    default:
      return "cancelled";
  }
}

/// "file-..." of an upload's URI, else the URI; null if there is none.
Json FileOf(const std::string& uri) {
  constexpr std::string_view kUploads = "graft://datasets/";
  if (uri.empty()) return nullptr;
  if (!uri.starts_with(kUploads)) return uri;
  const std::string rest = uri.substr(kUploads.size());
  return FileId(rest.substr(0, rest.find('/')));
}

Json Seconds(bool is_there, const google::protobuf::Timestamp& time) {
  return is_there ? Json(time.seconds()) : Json(nullptr);
}

Json ErrorOf(const v1::Job& job) {
  if (!job.has_error()) return nullptr;
  const v1::ErrorInfo& error = job.error();
  Json param = nullptr;
  std::string code = "job_failed";
  if (error.details_size() > 0) {
    const v1::ErrorDetail& first = error.details(0);
    if (!first.field().empty()) param = first.field();
    if (first.line() > 0) param = fmt::format("line {}", first.line());
    if (!first.reason().empty()) code = first.reason();
  }
  return {{"code", code}, {"message", error.message()}, {"param", std::move(param)}};
}

/// The learning rate as a multiple of what the job would have had; "auto" if it can't be told.
Json MultiplierOf(const v1::JobSpec& message) {
  const StatusOr<spec::JobSpec> spec = service::FromProto(message);
  if (!spec.ok() || spec->method == nullptr || spec->hyperparameters.learning_rate <= 0)
    return "auto";
  return spec->hyperparameters.learning_rate / spec::DefaultLearningRate(spec->task, *spec->method);
}

Json HyperparametersOf(const v1::JobSpec& spec) {
  const v1::Hyperparameters& said = spec.hyperparameters();
  Json made = {{"n_epochs", "auto"}, {"batch_size", "auto"}};
  if (said.has_epochs()) {
    const double epochs = said.epochs();
    const auto whole = static_cast<int64_t>(epochs);
    made["n_epochs"] = static_cast<double>(whole) == epochs ? Json(whole) : Json(epochs);
  }
  if (said.has_batch_size()) made["batch_size"] = said.batch_size();
  made["learning_rate_multiplier"] = MultiplierOf(spec);
  return made;
}

struct Told {
  std::string level = "info";
  std::string type = "message";
  std::string message;
  Json data = Json::object();
};

Told TellState(const v1::StateChange& change) {
  Told told;
  if (change.to() == v1::FAILED) told.level = "error";
  told.message = fmt::format("The job is {} ({})", StatusOf(change.to()), change.reason());
  if (change.has_error()) told.message += ": " + change.error().message();
  return told;
}

Told TellProgress(const v1::Progress& progress) {
  Told told;
  told.type = "metrics";
  told.message = fmt::format("Step {}/{}: training loss={:.4f}", progress.step(),
                             progress.total_steps(), progress.loss());
  told.data = {{"step", progress.step()},
               {"total_steps", progress.total_steps()},
               {"train_loss", progress.loss()},
               {"epoch", progress.epoch()},
               {"learning_rate", progress.learning_rate()},
               {"grad_norm", progress.grad_norm()},
               {"tokens_per_second", progress.tokens_per_second()}};
  return told;
}

Told TellEvaluation(const v1::Evaluation& evaluation) {
  Told told;
  told.type = "metrics";
  told.message = fmt::format("Step {}: {} loss={:.4f}", evaluation.step(), evaluation.split(),
                             evaluation.loss());
  told.data = {{"step", evaluation.step()}, {"split", evaluation.split()}};
  told.data[evaluation.split() == "test" ? "test_loss" : "valid_loss"] = evaluation.loss();
  for (const auto& [name, value] : evaluation.metrics()) told.data[name] = value;
  return told;
}

Told TellSample(const v1::Sample& sample) {
  Told told;
  told.message =
      fmt::format("Step {}: a sample continues its prompt {}", sample.step(), sample.index());
  told.data = {{"step", sample.step()}, {"prompt", sample.prompt()}, {"text", sample.text()}};
  return told;
}

Told Tell(const v1::JobEvent& event) {
  Told told;
  switch (event.kind_case()) {
    case v1::JobEvent::kStateChange:
      return TellState(event.state_change());
    case v1::JobEvent::kProgress:
      return TellProgress(event.progress());
    case v1::JobEvent::kEvaluation:
      return TellEvaluation(event.evaluation());
    case v1::JobEvent::kSample:
      return TellSample(event.sample());
    case v1::JobEvent::kCheckpoint:
      told.message = fmt::format("Checkpoint stored at step {}", event.checkpoint().step());
      return told;
    case v1::JobEvent::kWarning:
      told.level = "warn";
      told.message = event.warning();
      return told;
    case v1::JobEvent::kVersionCreated:
      told.message =
          "New fine-tuned model created: " + ModelName(event.version_created().adapter_version());
      return told;
    case v1::JobEvent::KIND_NOT_SET:
      break;
  }
  told.message = "An event of a kind that this server doesn't know";
  return told;
}

}  // namespace

std::string ModelName(const std::string& version_name) {
  constexpr std::string_view kFront = "adapters/";
  constexpr std::string_view kMiddle = "/versions/";
  const size_t middle = version_name.find(kMiddle);
  if (!version_name.starts_with(kFront) || middle == std::string::npos) return version_name;
  return version_name.substr(kFront.size(), middle - kFront.size()) + "@" +
         version_name.substr(middle + kMiddle.size());
}

Json ToCheckpoint(const v1::AdapterVersion& version) {
  const std::string model = ModelName(version.name());
  Json metrics = {{"step", version.checkpoint_step()}};
  for (const v1::Evaluation& evaluation : version.evaluations()) {
    if (evaluation.step() != version.checkpoint_step()) continue;
    metrics[evaluation.split() == "test" ? "test_loss" : "full_valid_loss"] = evaluation.loss();
    for (const auto& [name, value] : evaluation.metrics()) metrics[name] = value;
  }
  return {{"id", "ftckpt-" + model},
          {"object", "fine_tuning.job.checkpoint"},
          {"created_at", version.create_time().seconds()},
          {"fine_tuned_model_checkpoint", model},
          {"fine_tuning_job_id", IdOf(version.job())},
          {"metrics", std::move(metrics)},
          {"step_number", version.checkpoint_step()}};
}

Json ToFinetuningJob(const v1::Job& job) {
  const v1::JobSpec& spec = job.spec();
  const bool is_over = service::IsTerminal(job.state());
  const Json hyperparameters = HyperparametersOf(spec);
  Json made = {
      {"id", IdOf(job.name())},
      {"object", "fine_tuning.job"},
      {"created_at", job.create_time().seconds()},
      {"finished_at", Seconds(job.has_end_time(), job.end_time())},
      {"error", ErrorOf(job)},
      {"model", spec.init_from().empty() ? spec.base() : spec.init_from()},
      {"organization_id", "graft"},
      {"result_files", Json::array()},
      {"status", StatusOf(job.state())},
      {"training_file", FileOf(spec.dataset().train())},
      {"validation_file", FileOf(spec.dataset().validation())},
      {"hyperparameters", hyperparameters},
      {"method", {{"type", "supervised"}, {"supervised", {{"hyperparameters", hyperparameters}}}}},
      {"seed", spec.hyperparameters().seed()},
      {"integrations", Json::array()},
      {"metadata", Json::object()},
      {"user_provided_suffix", spec.adapter()}};
  made["fine_tuned_model"] =
      job.adapter_version().empty() ? Json(nullptr) : Json(ModelName(job.adapter_version()));
  made["trained_tokens"] = is_over ? Json(job.progress().tokens()) : Json(nullptr);
  const bool has_end = job.state() == v1::RUNNING && job.progress().eta_seconds() > 0;
  made["estimated_finish"] =
      has_end ? Json(std::time(nullptr) + static_cast<int64_t>(job.progress().eta_seconds()))
              : Json(nullptr);
  for (const auto& [key, value] : spec.labels()) made["metadata"][key] = value;
  if (StatusOr<Json> own = ToJson(job); own.ok()) made["graft"] = std::move(*own);
  return made;
}

Json ToFinetuningEvent(const std::string& job, const v1::JobEvent& event) {
  Told told = Tell(event);
  return {{"object", "fine_tuning.job.event"},
          {"id", fmt::format("ftevent-{}-{}", job, event.number())},
          {"created_at", event.time().seconds()},
          {"level", told.level},
          {"message", told.message},
          {"type", told.type},
          {"data", std::move(told.data)}};
}

}  // namespace graft::server::rest
