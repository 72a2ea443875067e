#pragma once
/// A PEFT LoRA folder of a BERT base whose answer is the same for every text: what tells versions
/// apart at a glance.

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "common/safetensors/safetensors.h"

namespace graft::testing {

/// Files of an adapter over `layers` layers of width `hidden` with logits `bias`, whatever the
/// text: LoRA of rank `rank` on query and value with random-looking A and zero B, and a head
/// without weights.
inline std::map<std::string, std::string> ConstantLora(int layers, int hidden, int rank,
                                                       const std::vector<float>& bias) {
  std::vector<std::pair<std::string, std::vector<float>>> values;
  std::vector<safetensors::TensorToWrite> tensors;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape,
                       std::vector<float> data) {
    values.emplace_back(name, std::move(data));
    tensors.push_back({"base_model.model." + name, safetensors::DType::kF32, std::move(shape), {}});
  };
  for (int layer = 0; layer < layers; ++layer) {
    for (const char* part : {"query", "value"}) {
      const std::string name =
          "bert.encoder.layer." + std::to_string(layer) + ".attention.self." + part;
      std::vector<float> a(static_cast<size_t>(rank) * hidden);
      for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) * 0.1F - 0.3F;
      add(name + ".lora_A.weight", {rank, hidden}, std::move(a));
      add(name + ".lora_B.weight", {hidden, rank},
          std::vector<float>(static_cast<size_t>(rank) * hidden));
    }
  }
  const auto labels = static_cast<int64_t>(bias.size());
  add("classifier.weight", {labels, hidden}, std::vector<float>(bias.size() * hidden));
  add("classifier.bias", {labels}, bias);
  for (size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].data = {reinterpret_cast<const char*>(values[i].second.data()),
                       values[i].second.size() * sizeof(float)};
  }
  auto weights = safetensors::Write(std::move(tensors));
  const std::string config =
      R"({"peft_type": "LORA", "task_type": "SEQ_CLS", "r": )" + std::to_string(rank) +
      R"(, "lora_alpha": 16, "target_modules": ["query", "value"], "modules_to_save": ["classifier"],
 "bias": "none", "lora_dropout": 0.0, "fan_in_fan_out": false, "inference_mode": true, "base_model_name_or_path": null})";
  return {{"adapter_config.json", config},
          {"adapter_model.safetensors", weights.ok() ? *weights : std::string()}};
}

}  // namespace graft::testing
