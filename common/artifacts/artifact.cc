#include "common/artifacts/artifact.h"

#include <algorithm>
#include <set>

#include "common/artifacts/finite.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"
#include "common/methods/hub_files.h"
#include "common/safetensors/safetensors.h"

namespace graft::artifacts {
namespace {

constexpr std::string_view kFormat = "graft.version.v1";

bool HasSuffix(const std::string& name, std::string_view suffix) { return name.ends_with(suffix); }

Json IdentityJson(const Identity& identity) {
  Json json = {{"base_fingerprint", identity.base_fingerprint},
               {"method", {{std::string(identity.method->name()), identity.method->ToJson()}}},
               {"label_names", identity.task.label_names},
               {"max_length", identity.max_length},
               {"tokenizer", identity.tokenizer},
               {"precision", identity.precision}};
  // Versions were named before there were tasks: one of the default kind keeps its name.
  if (identity.task.kind != tasks::kDefaultKind) json["task"] = identity.task.ToJson();
  return json;
}

std::map<std::string, std::string> HashFiles(const Files& files) {
  std::map<std::string, std::string> hashes;
  for (const auto& [name, bytes] : files) {
    if (name != kManifestName) hashes[name] = Sha256Hex(bytes);
  }
  return hashes;
}

Status Malformed(const std::string& what) { return InvalidArgumentError("graft.json: " + what); }

/// Reads graft.json's JSON, checking types of what is read later.
StatusOr<Json> ReadManifestJson(const Files& files) {
  const auto file = files.find(std::string(kManifestName));
  if (file == files.end()) return NotFoundError("the version has no graft.json");
  GRAFT_ASSIGN_OR_RETURN(Json json,
                         ParseJson(file->second, kManifestName, {.max_bytes = size_t{64} << 20}));
  if (!json.is_object() || json.value("format", Json()) != kFormat) {
    return Malformed("its format isn't " + Quoted(kFormat));
  }
  const auto is = [&](const char* key, Json::value_t type) {
    return json.contains(key) && json[key].type() == type;
  };
  if (!is("identity", Json::value_t::object) || !is("files", Json::value_t::object) ||
      !is("base", Json::value_t::string) || !is("sha256", Json::value_t::string)) {
    return Malformed("identity, files, base or sha256 is missing");
  }
  if (json.contains("base_proved") && !json["base_proved"].is_boolean()) {
    return Malformed("base_proved isn't true or false");
  }
  if (const Json pair = json.value("has_pair", Json()); !pair.is_null() && !pair.is_boolean()) {
    return Malformed("has_pair isn't true, false or null");
  }
  const Json& identity = json["identity"];
  for (const char* key : {"base_fingerprint", "tokenizer", "precision"}) {
    if (!identity.contains(key) || !identity[key].is_string())
      return Malformed(std::string("identity.") + key + " is missing");
  }
  if (identity["precision"] != "fp32" && identity["precision"] != "bf16") {
    return Malformed("identity.precision is neither \"fp32\" nor \"bf16\"");
  }
  if (!identity.contains("max_length") || !identity["max_length"].is_number_unsigned() ||
      !identity.contains("method") || !identity["method"].is_object() ||
      identity["method"].size() != 1 || !identity.contains("label_names") ||
      !identity["label_names"].is_array()) {
    return Malformed("identity lacks max_length, method or label_names");
  }
  for (const Json& label : identity["label_names"]) {
    if (!label.is_string()) return Malformed("a label name isn't a string");
  }
  return json;
}

/// Requires: ReadManifestJson's checks.
StatusOr<tasks::TaskSpec> ReadTask(const Json& identity) {
  if (!identity.contains("task"))
    return tasks::Classification(identity["label_names"].get<std::vector<std::string>>());
  StatusOr<tasks::TaskSpec> task = tasks::Parse(identity["task"]);
  if (!task.ok()) return Malformed("identity." + std::string(task.status().message()));
  return task;
}

std::vector<int64_t> ShapeOf(const safetensors::TensorView& view) {
  return {view.shape.begin(), view.shape.end()};
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace

std::string VersionHash(const Identity& identity,
                        const std::map<std::string, std::string>& file_hashes) {
  return Sha256Hex(Json{{"identity", IdentityJson(identity)}, {"files", file_hashes}}.dump());
}

tasks::LanguageTraining TrainingOf(const tasks::TaskSpec& identity, const Json& job) {
  const Json spec = job.is_object() ? job.value("spec", Json()) : Json();
  const Json task = spec.is_object() ? spec.value("task", Json()) : Json();
  const StatusOr<tasks::TaskSpec> read = tasks::Parse(task.is_object() ? task : Json::object());
  tasks::LanguageTraining training = read.ok() ? read->language : tasks::LanguageTraining();
  if (const Json& own = identity.language.chat_template_variables; !own.empty())
    training.chat_template_variables = own;
  return training;
}

Manifest Seal(const Identity& identity, const Record& record, Files& files) {
  Manifest manifest{
      .identity = identity, .record = record, .file_hashes = HashFiles(files), .sha256 = {}};
  manifest.sha256 = VersionHash(identity, manifest.file_hashes);
  const Json json = {{"format", kFormat},
                     {"sha256", manifest.sha256},
                     {"identity", IdentityJson(identity)},
                     {"files", manifest.file_hashes},
                     {"base", record.base},
                     {"base_proved", record.base_proved},
                     {"probe", record.probe},
                     {"job", record.job},
                     {"has_pair", record.has_pair ? Json(*record.has_pair) : Json()}};
  files[std::string(kManifestName)] = json.dump(2) + "\n";
  return manifest;
}

StatusOr<Header> ReadHeader(const Files& files) {
  GRAFT_ASSIGN_OR_RETURN(const Json json, ReadManifestJson(files));
  const Json& identity = json["identity"];
  Header header{json["base"],
                identity["base_fingerprint"],
                identity["precision"],
                identity["tokenizer"],
                {},
                {}};
  for (const auto& [name, hash] : json["files"].items()) header.files.push_back(name);
  GRAFT_ASSIGN_OR_RETURN(const tasks::TaskSpec task, ReadTask(identity));
  header.template_variables = TrainingOf(task, json.value("job", Json())).chat_template_variables;
  return header;
}

StatusOr<Manifest> Open(const Files& files, const families::Layout& layout) {
  GRAFT_ASSIGN_OR_RETURN(const Json json, ReadManifestJson(files));
  const Json& identity = json["identity"];
  Manifest manifest;
  manifest.identity.base_fingerprint = identity["base_fingerprint"];
  GRAFT_ASSIGN_OR_RETURN(manifest.identity.task, ReadTask(identity));
  const auto max_length = identity["max_length"].get<uint64_t>();
  if (max_length < 1 || max_length > static_cast<uint64_t>(layout.max_positions)) {
    return Malformed("identity.max_length is " + std::to_string(max_length) +
                     ", this base takes 1 to " + std::to_string(layout.max_positions) + " tokens");
  }
  manifest.identity.max_length = static_cast<int>(max_length);
  manifest.identity.tokenizer = identity["tokenizer"];
  manifest.identity.precision = identity["precision"];
  const auto method = identity["method"].begin();
  GRAFT_ASSIGN_OR_RETURN(const auto parsed, methods::ParseMethod(method.key(), method.value()));
  GRAFT_ASSIGN_OR_RETURN(manifest.identity.method, parsed->Resolve(layout));
  manifest.record.base = json["base"];
  manifest.record.base_proved = json.value("base_proved", false);
  manifest.record.probe = json.value("probe", Json());
  manifest.record.job = json.value("job", Json());
  if (const Json pair = json.value("has_pair", Json()); pair.is_boolean())
    manifest.record.has_pair = pair.get<bool>();
  manifest.file_hashes = HashFiles(files);
  const Json& listed = json["files"];
  for (const auto& [name, hash] : manifest.file_hashes) {
    if (!listed.contains(name))
      return DataLossError("the version has a file that graft.json doesn't list: " +
                           Printable(name, 200));
    if (listed[name] != hash)
      return DataLossError("the version's file " + Printable(name, 200) +
                           " has been changed: its hash differs");
  }
  if (listed.size() != manifest.file_hashes.size())
    return DataLossError("the version lacks a file that graft.json lists");
  manifest.sha256 = VersionHash(manifest.identity, manifest.file_hashes);
  if (json["sha256"] != manifest.sha256) {
    return DataLossError(
        "graft.json has been changed: what it says of the version doesn't have its hash");
  }
  return manifest;
}

StatusOr<std::vector<BoundTensor>> BindTensors(
    const Files& files, const std::vector<methods::TensorSpec>& specs,
    const std::map<std::string, std::string>& renamed_keys) {
  std::map<std::pair<std::string, std::string>, const methods::TensorSpec*> by_key;
  std::map<std::string, const methods::TensorSpec*> by_name;
  for (const methods::TensorSpec& spec : specs) {
    by_key[{spec.file, spec.key}] = &spec;
    by_name[spec.name] = &spec;
  }
  std::vector<BoundTensor> bound;
  std::set<const methods::TensorSpec*> seen;
  for (const auto& [file, bytes] : files) {
    if (!HasSuffix(file, ".safetensors")) continue;
    GRAFT_ASSIGN_OR_RETURN(const safetensors::View view, safetensors::View::Parse(bytes, file));
    for (const safetensors::TensorView& tensor : view.tensors()) {
      const std::string where =
          Printable(file, 200) + ": the tensor " + Printable(tensor.name, 200);
      const methods::TensorSpec* spec = nullptr;
      if (const auto renamed = renamed_keys.find(std::string(tensor.name));
          renamed != renamed_keys.end()) {
        if (renamed->second.empty()) continue;  // A copy of what is loaded.
        if (const auto found = by_name.find(renamed->second); found != by_name.end())
          spec = found->second;
      } else if (const auto found = by_key.find({file, std::string(tensor.name)});
                 found != by_key.end()) {
        spec = found->second;
      }
      if (spec == nullptr)
        return InvalidArgumentError(where + " belongs to nothing in this method and base");
      if (!seen.insert(spec).second) return InvalidArgumentError(where + " stands twice");
      if (ShapeOf(tensor) != spec->shape) {
        return InvalidArgumentError(where + " has the shape " + ShapeText(ShapeOf(tensor)) +
                                    "; by the folder's configuration and the base it must be " +
                                    ShapeText(spec->shape));
      }
      const std::string dtype(safetensors::DTypeName(tensor.dtype));
      GRAFT_ASSIGN_OR_RETURN(const bool finite, AllFinite(dtype, tensor.data, where));
      if (!finite) return InvalidArgumentError(where + " holds a NaN or an infinity");
      bound.push_back({spec, tensor.data, dtype});
    }
  }
  for (const methods::TensorSpec& spec : specs) {
    if (seen.contains(&spec)) continue;
    // AdapterHub's keys hold the adapter's name, and the folder calls it otherwise.
    const bool named =
        spec.key.find(std::string(".") + methods::kHubName + ".") != std::string::npos;
    const std::string& shown = named && !renamed_keys.empty() ? spec.name : spec.key;
    return InvalidArgumentError(files.contains(spec.file)
                                    ? spec.file + " lacks the tensor " + shown
                                    : "the folder has no " + spec.file + ", which holds " + shown);
  }
  return bound;
}

}  // namespace graft::artifacts
