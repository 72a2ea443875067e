#include "tiny_base.h"

#include <vector>

#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/families/layout.h"
#include "common/safetensors/safetensors.h"

namespace graft::server {

void MakeTinyBase(const std::filesystem::path& bases, const std::string& id, uint64_t seed) {
  const auto folder = bases / id;
  auto layout = families::ReadLayout(kTinyConfig, {});
  ASSERT_TRUE(layout.ok()) << layout.status();
  PhiloxSequence random(seed, RandomStream::kInit);
  std::vector<std::string> data;
  std::vector<safetensors::TensorToWrite> tensors;
  data.reserve(layout->tensors.size());
  for (const auto& tensor : layout->tensors) {
    int64_t count = 1;
    for (const int64_t n : tensor.shape) count *= n;
    std::string bytes;
    for (int64_t i = 0; i < count; ++i) {
      const float value = random.NextFloat() - 0.5F;
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    data.push_back(std::move(bytes));
    tensors.push_back({tensor.name, safetensors::DType::kF32, tensor.shape, data.back()});
  }
  auto file = safetensors::Write(tensors);
  ASSERT_TRUE(file.ok()) << file.status();
  std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (const char* word : {"good", "bad", "film", "very", "not", "the", "was", "it", "a", "and"}) {
    vocabulary += std::string(word) + "\n";
  }
  ASSERT_TRUE(WriteFileDurably(folder / "config.json", kTinyConfig).ok());
  ASSERT_TRUE(WriteFileDurably(folder / "model.safetensors", *file).ok());
  ASSERT_TRUE(WriteFileDurably(folder / "vocab.txt", vocabulary).ok());
  ASSERT_TRUE(
      WriteFileDurably(folder / "tokenizer_config.json", R"({"do_lower_case": true})").ok());
}

}  // namespace graft::server
