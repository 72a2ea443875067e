#include "tests/worker/engine/golden_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "common/artifacts/artifact.h"
#include "common/base/file.h"
#include "common/safetensors/safetensors.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/device/convert.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"

namespace graft::worker::engine::testing {
namespace fs = std::filesystem;
namespace {

/// Unwraps or throws: gtest reports an exception as the test's failure, with its text.
template <typename T>
T Must(StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return std::move(value).value();
}
void Must(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

at::Tensor ToTensor(const safetensors::TensorView& view) {
  return Must(BytesToFloat(safetensors::DTypeName(view.dtype), view.shape, view.data));
}

}  // namespace

std::string GoldenFolder() {
  const char* folder = std::getenv("GRAFT_GOLDEN");
  return folder != nullptr ? folder : GRAFT_SOURCE_DIR "/tests/golden/data";
}

std::vector<std::string> GoldenCaseNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(GoldenFolder())) {
    if (fs::exists(entry.path() / "case.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

PackedBatch GoldenCase::Batch(const Adapter* owner) const {
  static constexpr int32_t kPooled[] = {0};
  std::vector<Sequence> sequences;
  for (size_t i = 0; i < ids.size(); ++i) {
    sequences.push_back(
        {ids[i].data(), type_ids[i].data(), static_cast<int64_t>(ids[i].size()), i, kPooled});
  }
  return Pack(sequences,
              std::vector<Owner>(sequences.size(), Owner{.adapter = owner, .training = true}),
              base->device());
}

GoldenCase LoadGoldenCase(const std::string& name, at::ScalarType compute) {
  const fs::path folder = fs::path(GoldenFolder()) / name;
  const Json json = Must(ParseJson(Must(ReadFile(folder / "case.json")), "case.json"));
  GoldenCase golden;
  golden.name = name;
  const std::string base = json["base"];
  golden.base = Must(Base::Load(base, fs::path(GoldenFolder()) / base, compute, at::kCPU));
  const families::Layout& layout = golden.base->layout();
  golden.model = Must(MakeModel(*golden.base));
  for (const Json& sequence : json["sequences"]) {
    golden.ids.push_back(sequence["ids"]);
    golden.type_ids.push_back(sequence["type_ids"]);
    golden.labels.push_back(sequence["label"]);
  }
  const Json& method_json = json["method"];
  auto method = Must(methods::ParseMethod(method_json.begin().key(), method_json.begin().value()));
  method = Must(method->Resolve(layout));
  golden.adapter =
      Must(MakeAdapter(method, layout, tasks::Classification(json["label_names"]), at::kCPU));
  Must(InitialiseAdapter(*golden.adapter, *golden.base, 1));

  // File keys -> names: the method's own, or what importing the folder says.
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
  if (configs.contains("adapter_config.json")) {
    const auto imported = Must(methods::ImportMethod(configs, shapes, layout));
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
  const std::string expected = Must(ReadFile(folder / "expected.safetensors"));
  const auto view = Must(safetensors::View::Parse(expected, "expected.safetensors"));
  for (const auto& tensor : view.tensors()) {
    if (tensor.name == "logits") {
      golden.logits_SC = ToTensor(tensor);
    } else if (tensor.name == "loss") {
      golden.loss = ToTensor(tensor).item<double>();
    } else {
      std::string key = tensor.name.substr(std::string("grad.").size());
      if (const auto own = names.find(key); own != names.end()) key = own->second;
      golden.grads[key] = ToTensor(tensor);
    }
  }
  return golden;
}

}  // namespace graft::worker::engine::testing
