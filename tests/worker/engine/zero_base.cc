#include "tests/worker/engine/zero_base.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "common/safetensors/safetensors.h"
#include "tests/support/must.h"

namespace graft::worker::engine::testing {
namespace {

using graft::testing::Must;

namespace fs = std::filesystem;

}  // namespace

void WriteZeroBase(const fs::path& from, const fs::path& folder, const ZeroBase& sizes) {
  Json config = Must(ParseJson(Must(ReadFile(from / "config.json")), "config.json"));
  config.update({{"hidden_size", sizes.hidden},
                 {"intermediate_size", sizes.inner},
                 {"vocab_size", sizes.vocabulary},
                 {"num_attention_heads", sizes.heads},
                 {"max_position_embeddings", sizes.positions}});
  // DistilBERT's names.
  if (config.contains("dim")) {
    config.update({{"dim", sizes.hidden}, {"hidden_dim", sizes.inner}, {"n_heads", sizes.heads}});
  }
  if (config.contains("num_key_value_heads"))
    config.update({{"num_key_value_heads", sizes.kv_heads}, {"head_dim", sizes.head_dim}});
  const auto checkpoint = Must(safetensors::Checkpoint::Open(from));
  const families::Layout layout = Must(families::ReadLayout(config.dump(), checkpoint->names()));
  const auto count = [](const families::TensorShape& tensor) {
    return static_cast<size_t>(
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>()));
  };
  size_t largest = 0;
  for (const families::TensorShape& tensor : layout.tensors)
    largest = std::max(largest, count(tensor) * sizeof(float));
  const std::string zeros(largest, '\0');
  std::vector<safetensors::TensorToWrite> tensors;
  for (const families::TensorShape& tensor : layout.tensors) {
    tensors.push_back({.name = tensor.name,
                       .dtype = safetensors::DType::kF32,
                       .shape = tensor.shape,
                       .data = std::string_view(zeros).substr(0, count(tensor) * sizeof(float))});
  }
  fs::create_directories(folder);
  Must(WriteFileDurably(folder / "config.json", config.dump()));
  Must(WriteFileDurably(folder / "model.safetensors", Must(safetensors::Write(tensors))));
  for (const auto& entry : fs::directory_iterator(from)) {
    const fs::path name = entry.path().filename();
    if (!fs::exists(folder / name)) fs::copy_file(entry.path(), folder / name);
  }
}

}  // namespace graft::worker::engine::testing
