#pragma once
/// The LoRA of smollm2 that smollm2_lora.py describes, made again bit for bit: each weight is a
/// formula. What it answers with is in tests/golden/smollm2/answers.json.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/safetensors/safetensors.h"

namespace graft::testing {

/// The values of one tensor, `scale` times a number in [-1, 1) each.
inline std::vector<float> SmolLm2LoraValues(uint64_t tensor, int64_t count, float scale) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t z = (tensor << 32) + static_cast<uint64_t>(i) + 1;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z ^= z >> 31;
    values.push_back((static_cast<float>(z >> 40) - 8388608.0F) * (scale / 8388608.0F));
  }
  return values;
}

/// PEFT's folder: name -> bytes.
inline std::map<std::string, std::string> SmolLm2Lora() {
  constexpr int64_t kLayers = 30, kRank = 8, kHidden = 576;
  std::vector<std::vector<float>> values;
  std::vector<safetensors::TensorToWrite> tensors;
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    for (const auto& [target, module, outputs] :
         {std::tuple<int64_t, std::string, int64_t>{0, "q_proj", 576}, {1, "v_proj", 192}}) {
      const std::string path =
          "base_model.model.model.layers." + std::to_string(layer) + ".self_attn." + module;
      const auto first = static_cast<uint64_t>(4 * layer + 2 * target);
      values.push_back(SmolLm2LoraValues(first, kRank * kHidden, 0x1p-4F));
      tensors.push_back({path + ".lora_A.weight", safetensors::DType::kF32, {kRank, kHidden}, {}});
      values.push_back(SmolLm2LoraValues(first + 1, outputs * kRank, 0x1p-2F));
      tensors.push_back({path + ".lora_B.weight", safetensors::DType::kF32, {outputs, kRank}, {}});
    }
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].data = {reinterpret_cast<const char*>(values[i].data()),
                       values[i].size() * sizeof(float)};
  }
  auto weights = safetensors::Write(std::move(tensors));
  return {{"adapter_config.json",
           R"({"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "smollm2",
 "r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"], "bias": "none",
 "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true, "modules_to_save": null,
 "rank_pattern": {}, "alpha_pattern": {}, "use_dora": false, "use_rslora": false})"},
          {"adapter_model.safetensors", weights.ok() ? *weights : std::string()}};
}

}  // namespace graft::testing
