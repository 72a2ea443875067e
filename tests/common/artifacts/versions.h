#pragma once
/// Adapter versions of a tiny BERT, and folders as PEFT writes them.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "common/artifacts/artifact.h"
#include "common/base/sha256.h"
#include "common/safetensors/safetensors.h"
#include "tests/common/families/configs.h"
#include "tests/common/tasks/labels.h"

namespace graft::artifacts {

inline constexpr const char* kWeights = "adapter_model.safetensors";

inline const families::Layout& TinyBert() {
  static const auto* layout = new families::Layout(families::MustRead(families::TinyBertConfig()));
  return *layout;
}

inline std::shared_ptr<const methods::MethodSpec> Method(const std::string& name = "lora",
                                                         const Json& fields = {{"rank", 2}}) {
  const auto parsed = methods::ParseMethod(name, fields);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  const auto resolved = (*parsed)->Resolve(TinyBert());
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

inline Identity TinyIdentity() {
  return {.base_fingerprint = Sha256Hex("base"),
          .method = Method(),
          .task = tasks::Classification({"neg", "pos"}),
          .max_length = 32,
          .tokenizer = Sha256Hex("tokenizer"),
          .precision = "fp32"};
}

/// A tensor that owns its bytes.
struct Tensor {
  std::string key;
  std::vector<int64_t> shape;
  std::string data;
  safetensors::DType dtype = safetensors::DType::kF32;
};

inline std::string Pack(const std::vector<Tensor>& tensors) {
  std::vector<safetensors::TensorToWrite> borrowed;
  for (const Tensor& tensor : tensors) {
    borrowed.push_back({tensor.key, tensor.dtype, tensor.shape, tensor.data});
  }
  auto file = safetensors::Write(std::move(borrowed));
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : std::string();
}

/// Every tensor that the method needs, of floats that differ from tensor to tensor.
inline std::vector<Tensor> TensorsOf(const methods::MethodSpec& method, int64_t num_labels = 2) {
  std::vector<Tensor> tensors;
  float value = 0.5;
  for (const methods::TensorSpec& spec : method.Tensors(TinyBert(), tasks::Labels(num_labels))) {
    const int64_t count =
        std::accumulate(spec.shape.begin(), spec.shape.end(), int64_t{1}, std::multiplies<>());
    std::string data;
    for (int64_t i = 0; i < count; ++i) {
      value += 0.25F;
      data.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    tensors.push_back({spec.key, spec.shape, data});
  }
  return tensors;
}

/// What the method's library writes: weights and config files, without graft.json.
inline Files FolderOf(const Identity& identity) {
  Files files;
  for (const auto& [name, text] :
       identity.method->ConfigFiles(TinyBert(), {"tiny", "graft", identity.task})) {
    files[name] = text;
  }
  files[kWeights] =
      Pack(TensorsOf(*identity.method, static_cast<int64_t>(identity.task.label_names.size())));
  return files;
}

inline Record TinyRecord() {
  return {.base = "tiny",
          .base_proved = true,
          .probe = {{"ids", {1, 2}}, {"logits", {0.5, -0.5}}},
          .job = {{"dataset", "d"}, {"seconds", 3}}};
}

inline Files Sealed(const Identity& identity = TinyIdentity()) {
  Files files = FolderOf(identity);
  Seal(identity, TinyRecord(), files);
  return files;
}

/// Makes a change to graft.json.
inline void EditManifest(Files& files, const std::function<void(Json&)>& edit) {
  Json json = Json::parse(files.at(std::string(kManifestName)));
  edit(json);
  files[std::string(kManifestName)] = json.dump();
}

}  // namespace graft::artifacts
