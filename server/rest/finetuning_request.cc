#include "server/rest/finetuning_request.h"

#include <algorithm>

#include <google/protobuf/util/json_util.h>

#include "common/base/fields.h"
#include "common/base/rename_fields.h"
#include "server/rest/files.h"

namespace graft::server::rest {
namespace {

constexpr size_t kMaxName = 512;

/// A number, or "auto", which is as good as nothing.
bool IsSaid(Fields& fields, const char* name) {
  return fields.Has(name) && fields.raw(name) != "auto";
}

/// Sets `to[name]`. A value that graft's own part has too must be the same.
void Put(Fields& fields, const char* field, Json& to, const char* name, Json value) {
  if (to.contains(name) && to[name] != value)
    return fields.Fail(field, std::string("and graft's own ") + name + " differ; say one of them");
  to[name] = std::move(value);
}

/// file- and a hash, or a URI as graft's own jobs name data.
void ReadFile(Fields& fields, const char* name, Json& dataset, const char* as) {
  if (!fields.Has(name)) return;
  const std::string id = fields.Text(name, 4096);
  std::string uri = id;
  if (id.find("://") == std::string::npos) {
    const StatusOr<std::string> found = DatasetName(id, name);
    if (!found.ok()) return fields.Fail(name, "isn't a file's id (file-...) or a URI");
    uri = "graft://" + *found;
  }
  Put(fields, name, dataset, as, std::move(uri));
}

void ReadHyperparameters(const Json& json, const std::string& at, Fields& outer,
                         FinetuningRequest& request, Json& to) {
  Fields fields(json, at);
  if (IsSaid(fields, "n_epochs"))
    Put(fields, "n_epochs", to, "epochs",
        fields.Number("n_epochs", 0, 10'000, 1, Fields::Bounds::kOpenLow));
  if (IsSaid(fields, "batch_size"))
    Put(fields, "batch_size", to, "batch_size", fields.Integer("batch_size", 1, 1 << 20, 1));
  if (IsSaid(fields, "learning_rate_multiplier"))
    request.learning_rate_multiplier =
        fields.Number("learning_rate_multiplier", 0, 10'000, 1, Fields::Bounds::kOpenLow);
  if (request.learning_rate_multiplier && to.contains("learning_rate"))
    fields.Fail("learning_rate_multiplier", "and graft's own learning_rate exclude each other");
  if (const Status status = fields.Finish(); !status.ok())
    outer.Fail(status.details().empty() ? at : status.details().front().field,
               "is refused: " + status.message());
}

/// method: {"type": "supervised", "supervised": {"hyperparameters": {...}}}
void ReadMethod(Fields& fields, FinetuningRequest& request, Json& to) {
  if (!fields.Has("method")) return;
  const Json& method = fields.raw("method");
  if (!method.is_object() || method.value("type", Json()) != "supervised")
    return fields.Fail("method",
                       "can only be of type supervised; graft.method names the adapter's");
  for (const auto& [name, value] : method.items()) {
    if (name == "type" || value.is_null()) continue;
    if (name != "supervised" || !value.is_object())
      return fields.Fail("method", "has the parts type and supervised");
    for (const auto& [inner, hyperparameters] : value.items()) {
      if (inner != "hyperparameters")
        return fields.Fail("method.supervised", "has hyperparameters and nothing else");
      if (!hyperparameters.is_null())
        ReadHyperparameters(hyperparameters, "method.supervised.hyperparameters", fields, request,
                            to);
    }
  }
}

void ReadMetadata(Fields& fields, Json& spec) {
  if (!fields.Has("metadata")) return;
  const Json& metadata = fields.raw("metadata");
  if (!metadata.is_object()) return fields.Fail("metadata", "must be an object of texts");
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) return fields.Fail("metadata", "must be an object of texts");
    spec["labels"][key] = value;
  }
}

Status ReadOwn(Fields& fields, FinetuningRequest& request, Json& spec) {
  if (!fields.Has("graft")) return OkStatus();
  spec = fields.raw("graft");
  if (!spec.is_object()) return InvalidArgumentError("graft must be an object").At("graft");
  Fields own(spec, "graft");
  request.create.set_request_id(own.Text("request_id", 128));
  request.create.set_validate_only(own.Flag("validate_only", false));
  for (const char* name : {"base", "init_from"}) {
    if (own.Has(name)) own.Fail(name, "is the request's model; leave it out here");
  }
  for (const auto& [name, value] : spec.items()) (void)own.Has(name.c_str());
  GRAFT_RETURN_IF_ERROR(own.Finish());
  for (const char* name : {"request_id", "validate_only"}) spec.erase(name);
  for (const char* name : {"dataset", "hyperparameters", "labels"}) {
    if (spec.contains(name) && !spec[name].is_object())
      return InvalidArgumentError("must be an object").At(std::string("graft.") + name);
  }
  request.names_task = spec.contains("task");
  return OkStatus();
}

void ReadJob(Fields& fields, FinetuningRequest& request, Json& spec) {
  Json& dataset = spec["dataset"];
  if (dataset.is_null()) dataset = Json::object();
  Json& hyperparameters = spec["hyperparameters"];
  if (hyperparameters.is_null()) hyperparameters = Json::object();
  if (!fields.Has("training_file")) fields.Fail("training_file", "must name a file");
  ReadFile(fields, "training_file", dataset, "train");
  ReadFile(fields, "validation_file", dataset, "validation");
  if (fields.Has("hyperparameters"))
    ReadHyperparameters(fields.raw("hyperparameters"), "hyperparameters", fields, request,
                        hyperparameters);
  ReadMethod(fields, request, hyperparameters);
  if (fields.Has("seed"))
    Put(fields, "seed", hyperparameters, "seed", fields.Unsigned64("seed", 0));
  if (fields.Has("suffix")) Put(fields, "suffix", spec, "adapter", fields.Text("suffix", kMaxName));
  if (!spec.contains("adapter"))
    fields.Fail("suffix", "must be the name of the adapter: a-z, 0-9, and . _ - between them");
  if (fields.Has("integrations") && !fields.raw("integrations").empty())
    fields.Fail("integrations", "aren't built; leave them out");
  ReadMetadata(fields, spec);
  if (!spec.contains("method")) spec["method"] = {{"lora", Json::object()}};
}

std::string Renamed(const std::string& field) {
  const std::string_view spec = "spec.";
  if (field == "request_id") return "graft.request_id";
  if (field == "name") return "fine_tuning_job_id";
  if (!field.starts_with(spec)) return field;
  const std::string inner = field.substr(spec.size());
  if (inner == "adapter") return "suffix";
  if (inner == "base" || inner == "init_from") return "model";
  if (inner == "dataset.train") return "training_file";
  if (inner == "dataset.validation") return "validation_file";
  if (inner == "hyperparameters.epochs") return "hyperparameters.n_epochs";
  if (inner == "hyperparameters.batch_size") return inner;
  if (inner == "hyperparameters.seed") return "seed";
  if (inner == "labels") return "metadata";
  return "graft." + inner;
}

}  // namespace

Status ByFinetuningNames(const Status& fault) { return RenameFields(fault, Renamed); }

StatusOr<FinetuningRequest> ReadFinetuningRequest(const Json& body) {
  FinetuningRequest request;
  Json spec = Json::object();
  Fields fields(body, "");
  request.model = fields.Text("model", kMaxName);
  if (!fields.Has("model")) fields.Fail("model", "must name a base or an adapter's version");
  GRAFT_RETURN_IF_ERROR(ReadOwn(fields, request, spec));
  ReadJob(fields, request, spec);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  const auto read =
      google::protobuf::util::JsonStringToMessage(spec.dump(), request.create.mutable_spec(), {});
  if (read.ok()) return request;
  const std::string said(read.message().data(), read.message().size());
  return InvalidArgumentError("graft isn't a job's spec: " + Printable(said, 400)).At("graft");
}

}  // namespace graft::server::rest
