#include "worker/engine/artifacts/artifact.h"

#include <map>

#include "common/safetensors/safetensors.h"
#include "worker/engine/artifacts/evaluation_json.h"
#include "worker/engine/device/convert.h"
#include "worker/engine/methods/methods.h"

namespace graft::worker::engine {

namespace {

/// A version that names no tokenizer is taken at its word that it fits the base.
Status CheckTokenizer(const artifacts::Identity& identity, const Base& base) {
  const std::string& fingerprint = base.tokenizer().fingerprint();
  if (identity.tokenizer.empty() || identity.tokenizer == fingerprint) return OkStatus();
  return FailedPreconditionError("the version was made with a tokenizer with fingerprint " +
                                 identity.tokenizer.substr(0, 12) + ", but " + base.id() + " has " +
                                 fingerprint.substr(0, 12) +
                                 ": it would read other tokens than it was trained on")
      .AddDetail({"TOKENIZER_MISMATCH", {}, 0, {}, {}});
}

}  // namespace

StatusOr<ArtifactHeader> ReadArtifactHeader(const Files& files) {
  GRAFT_ASSIGN_OR_RETURN(const artifacts::Header header, artifacts::ReadHeader(files));
  return ArtifactHeader{
      header.base, header.base_fingerprint,
      header.precision == "bf16" ? spec::Precision::kBf16 : spec::Precision::kFp32};
}

StatusOr<LoadedArtifact> ReadArtifact(const Files& files, const Base& base) {
  GRAFT_ASSIGN_OR_RETURN(artifacts::Manifest manifest, artifacts::Open(files, base.layout()));
  GRAFT_RETURN_IF_ERROR(CheckTokenizer(manifest.identity, base));
  LoadedArtifact loaded;
  loaded.max_length = manifest.identity.max_length;
  loaded.sha256 = manifest.sha256;
  loaded.has_pair = manifest.record.has_pair;
  loaded.probe = manifest.record.probe;
  const auto chat_template = files.find(std::string(artifacts::kChatTemplateName));
  if (chat_template != files.end()) loaded.chat_template = chat_template->second;
  GRAFT_ASSIGN_OR_RETURN(loaded.adapter, MakeAdapter(manifest.identity.method, base.layout(),
                                                     manifest.identity.task, base.device()));
  loaded.trained_for = manifest.identity.task;
  loaded.trained_for.language = artifacts::TrainingOf(manifest.identity.task, manifest.record.job);
  ParameterSet& parameters = loaded.adapter->parameters();
  GRAFT_ASSIGN_OR_RETURN(const auto bound, artifacts::BindTensors(files, parameters.specs()));
  const at::NoGradGuard no_grad;
  for (const artifacts::BoundTensor& tensor : bound) {
    GRAFT_ASSIGN_OR_RETURN(const at::Tensor value,
                           BytesToFloat(tensor.dtype, tensor.spec->shape, tensor.data));
    parameters.Get(tensor.spec->name).copy_(value);
  }
  return loaded;
}

StatusOr<Artifact> WriteArtifact(const Adapter& adapter, const Base& base,
                                 const ArtifactOrigin& origin) {
  const spec::JobSpec& spec = origin.spec;
  Artifact artifact;
  // The tensors must outlive Write, which borrows their bytes.
  std::vector<at::Tensor> hosts;
  std::map<std::string, std::vector<safetensors::TensorToWrite>> by_file;
  for (const methods::TensorSpec& tensor : adapter.parameters().specs()) {
    hosts.push_back(adapter.parameters().Get(tensor.name).detach().to(at::kCPU).contiguous());
    const std::string_view bytes(static_cast<const char*>(hosts.back().const_data_ptr()),
                                 hosts.back().nbytes());
    by_file[tensor.file].push_back({tensor.key, safetensors::DType::kF32, tensor.shape, bytes});
    artifact.parameters += hosts.back().numel();
  }
  for (auto& [file, tensors] : by_file) {
    GRAFT_ASSIGN_OR_RETURN(artifact.files[file], safetensors::Write(std::move(tensors)));
  }
  for (auto& [name, text] :
       adapter.method().ConfigFiles(base.layout(), {base.id(), spec.adapter, adapter.task()})) {
    artifact.files[name] = text;
  }
  if (!origin.chat_template.empty())
    artifact.files[std::string(artifacts::kChatTemplateName)] = origin.chat_template;
  Json evaluations = Json::array();
  for (const Evaluation& evaluation : origin.evaluations)
    evaluations.push_back(EvaluationJson(evaluation));
  const artifacts::Identity identity{.base_fingerprint = base.fingerprint(),
                                     .method = adapter.shared_method(),
                                     .task = adapter.task(),
                                     .max_length = spec.hyperparameters.max_length,
                                     .tokenizer = base.tokenizer().fingerprint(),
                                     .precision = origin.precision};
  const artifacts::Record record{.base = base.id(),
                                 .base_proved = true,
                                 .probe = origin.probe,
                                 .job = {{"spec", spec.ToJson()},
                                         {"dataset_sha256", origin.dataset_sha256},
                                         {"evaluations", evaluations}},
                                 .has_pair = origin.has_pair};
  const artifacts::Manifest manifest = artifacts::Seal(identity, record, artifact.files);
  artifact.sha256 = manifest.sha256;
  artifact.base_fingerprint = base.fingerprint();
  for (const auto& [name, bytes] : artifact.files)
    artifact.bytes += static_cast<int64_t>(bytes.size());
  artifact.label_names = adapter.task().label_names;
  artifact.max_length = identity.max_length;
  artifact.method = {{std::string(adapter.method().name()), adapter.method().ToJson()}};
  return artifact;
}

Status CopyParameters(const ParameterSet& from, ParameterSet& to) {
  const at::NoGradGuard no_grad;
  if (from.specs().size() != to.specs().size()) {
    return InvalidArgumentError("the versions hold different tensors")
        .At("spec.init_from", "INIT_FROM_MISMATCH");
  }
  for (const methods::TensorSpec& spec : to.specs()) {
    if (!from.Has(spec.name) || from.Get(spec.name).sizes() != to.Get(spec.name).sizes()) {
      return InvalidArgumentError("init_from has no tensor like " + spec.name)
          .At("spec.init_from", "INIT_FROM_MISMATCH");
    }
    to.Get(spec.name).detach().copy_(from.Get(spec.name));
  }
  return OkStatus();
}

}  // namespace graft::worker::engine
