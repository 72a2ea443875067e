#include "tests/worker/engine/golden_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "common/artifacts/artifact.h"
#include "common/base/file.h"
#include "common/safetensors/safetensors.h"
#include "tests/support/must.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/device/convert.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"

namespace graft::worker::engine::testing {
namespace fs = std::filesystem;
namespace {

using graft::testing::Must;

std::string Folder(const char* name) {
  const char* root = std::getenv("GRAFT_GOLDEN");
  return std::string(root != nullptr ? root : GRAFT_SOURCE_DIR "/tests/golden") + "/" + name;
}

/// A sequence's targets and the tokens whose outputs give them.
void AddSequence(const Json& sequence, GoldenCase& golden) {
  tokenizers::Encoding encoding;
  encoding.ids = sequence["ids"].get<std::vector<int32_t>>();
  encoding.type_ids = sequence.value("type_ids", std::vector<int32_t>(encoding.ids.size(), 0));
  std::vector<int32_t> targets, positions;
  if (sequence.contains("label")) {
    targets = {sequence["label"].get<int32_t>()};
    positions = {
        PooledPosition(static_cast<int64_t>(encoding.ids.size()), golden.base->layout().causal)};
  } else {
    const auto labels = sequence["labels"].get<std::vector<int32_t>>();
    for (size_t i = 1; i < labels.size(); ++i) {
      if (labels[i] < 0) continue;
      targets.push_back(labels[i]);
      positions.push_back(static_cast<int32_t>(i) - 1);
    }
  }
  golden.data.Append(encoding, targets, positions);
}

at::Tensor ToTensor(const safetensors::TensorView& view) {
  return Must(BytesToFloat(safetensors::DTypeName(view.dtype), view.shape, view.data));
}

}  // namespace

std::string Shown(double difference) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1e", difference);
  return text;
}

std::string GoldenFolder() { return Folder("data"); }
std::string DecoderFolder() { return Folder("decoders"); }

fs::path GoldenBase(const std::string& family) {
  const bool is_encoder = family == "bert" || family == "distilbert";
  return fs::path(is_encoder ? GoldenFolder() : DecoderFolder()) / ("base-" + family);
}

std::vector<std::string> GoldenCaseNames(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / "case.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

PackedBatch GoldenCase::Batch(const Adapter* owner) const {
  std::vector<Sequence> sequences;
  for (int64_t i = 0; i < data.size(); ++i) sequences.push_back(data.sequence(i));
  return Pack(sequences,
              std::vector<Owner>(sequences.size(), Owner{.adapter = owner, .training = true}),
              base->device());
}

namespace {

/// The base's folder, or a copy of it with another config.json.
fs::path BaseFolder(const fs::path& folder, const std::function<void(Json&)>& change,
                    std::optional<TempFolder>& copy) {
  if (!change) return folder;
  copy.emplace(Must(TempFolder::Create()));
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename() != "config.json")
      fs::create_symlink(entry.path(), copy->path() / entry.path().filename());
  }
  Json config = Must(ParseJson(Must(ReadFile(folder / "config.json")), "config.json"));
  change(config);
  Must(WriteFileDurably(copy->path() / "config.json", config.dump()));
  return copy->path();
}

/// Puts the case's tensors in place; returns their names by their keys in its files.
std::map<std::string, std::string> LoadTensors(const fs::path& folder, GoldenCase& golden) {
  std::map<std::string, std::string> names;
  for (const methods::TensorSpec& spec : golden.adapter->parameters().specs())
    names[spec.key] = spec.name;
  artifacts::Files files;
  std::map<std::string, std::string> configs;
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (file == "case.json" || file == "expected.safetensors") continue;
    files[file] = Must(ReadFile(entry.path()));
    if (file.ends_with(".json")) configs[file] = files[file];
    if (!file.ends_with(".safetensors")) continue;
    const auto view = Must(safetensors::View::Parse(files[file], file));
    for (const auto& tensor : view.tensors()) shapes[tensor.name] = tensor.shape;
  }
  if (configs.contains("adapter_config.json") &&
      golden.task->spec().kind == tasks::Kind::kSequenceClassification) {
    const auto imported = Must(methods::ImportMethod(configs, shapes, golden.base->layout()));
    for (const auto& [key, own] : imported.renamed_keys) names[key] = own;
  }
  for (const auto& [file, bytes] : files) {
    if (!file.ends_with(".safetensors")) continue;
    const auto view = Must(safetensors::View::Parse(bytes, file));
    for (const auto& tensor : view.tensors()) {
      if (!names.contains(tensor.name)) throw std::runtime_error("no place for " + tensor.name);
      golden.adapter->parameters().Get(names[tensor.name]).copy_(ToTensor(tensor));
    }
  }
  return names;
}

}  // namespace

GoldenCase LoadGoldenCase(const std::string& name, at::ScalarType compute,
                          const std::string& in_folder,
                          const std::function<void(Json& config)>& change, at::Device device) {
  const fs::path folder = fs::path(in_folder) / name;
  GoldenCase golden;
  golden.name = name;
  golden.json = Must(ParseJson(Must(ReadFile(folder / "case.json")), "case.json"));
  const Json& json = golden.json;
  const std::string base = json["base"];
  std::optional<TempFolder> copy;
  golden.base =
      Must(Base::Load(base, BaseFolder(fs::path(in_folder) / base, change, copy), compute, device));
  const families::Layout& layout = golden.base->layout();
  golden.model = Must(MakeModel(*golden.base));
  golden.task = MakeTask(json.contains("task") ? Must(tasks::Parse(json["task"]))
                                               : tasks::Classification(json["label_names"]));
  for (const Json& sequence : json["sequences"]) AddSequence(sequence, golden);
  const Json& method_json = json["method"];
  auto method = Must(methods::ParseMethod(method_json.begin().key(), method_json.begin().value()));
  method = Must(method->Resolve(layout));
  golden.adapter = Must(MakeAdapter(method, layout, golden.task->spec(), device));
  Must(InitialiseAdapter(*golden.adapter, *golden.base, 1));
  const std::map<std::string, std::string> names = LoadTensors(folder, golden);
  const std::string expected = Must(ReadFile(folder / "expected.safetensors"));
  const auto view = Must(safetensors::View::Parse(expected, "expected.safetensors"));
  for (const auto& tensor : view.tensors()) {
    constexpr std::string_view kGrad = "grad.";
    if (!tensor.name.starts_with(kGrad)) {
      golden.expected[tensor.name] = ToTensor(tensor);
      continue;
    }
    const std::string key = tensor.name.substr(kGrad.size());
    const auto own = names.find(key);
    golden.grads[own != names.end() ? own->second : key] = ToTensor(tensor);
  }
  return golden;
}

GoldenCase LoadRoundedCase(const std::string& name, const std::string& folder) {
  GoldenCase golden = LoadGoldenCase(name, at::kFloat, folder);
  const GoldenCase narrow = LoadGoldenCase(name, at::kBFloat16, folder);
  for (const families::TensorShape& tensor : golden.base->layout().tensors)
    at::Tensor(golden.base->Tensor(tensor.name)).copy_(narrow.base->Tensor(tensor.name));
  for (const methods::TensorSpec& spec : golden.adapter->parameters().specs()) {
    // A head's own tensors stay in fp32, and so do norms.
    const bool is_rounded = spec.overrides_base
                                ? narrow.base->Tensor(spec.name).scalar_type() == at::kBFloat16
                                : spec.layer != families::kAboveLayers;
    const at::Tensor tensor = golden.adapter->parameters().Get(spec.name);
    if (is_rounded) at::Tensor(tensor).copy_(tensor.to(at::kBFloat16));
  }
  golden.model = Must(MakeModel(*golden.base));
  return golden;
}

}  // namespace graft::worker::engine::testing
