#include "common/bases/checks.h"

#include <algorithm>
#include <set>

#include "common/base/utf8.h"

namespace graft::bases {
namespace {

using safetensors::Checkpoint;

bool IsReadable(safetensors::DType dtype) {
  using safetensors::DType;
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 ||
         dtype == DType::kF64;
}

Status Lacks(const Checkpoint& checkpoint, const std::string& wanted) {
  for (const std::string& name : checkpoint.names()) {
    if (!name.ends_with("." + wanted)) continue;
    return InvalidArgumentError(
        "its weights call the tensor " + wanted + " " + Quoted(name, 200) +
        ": they were saved from within another module, such as DistributedDataParallel; save the "
        "model itself with save_pretrained");
  }
  return InvalidArgumentError("its weights lack the tensor " + wanted +
                              "; copy the model's folder again");
}

/// A tensor that the layout knows nothing of.
Status CheckSpare(const families::Layout& layout, const std::string& name) {
  // Heads of other tasks lie beside a decoder's body; within it everything has a use.
  constexpr std::string_view kBare[] = {"layers.", "embed_tokens.", "norm."};
  const bool in_body = name.starts_with(layout.prefix) ||
                       std::any_of(std::begin(kBare), std::end(kBare),
                                   [&](std::string_view bare) { return name.starts_with(bare); });
  // Frequencies that old checkpoints keep; config.json says them too.
  if (!layout.causal || !in_body || name.ends_with("rotary_emb.inv_freq")) return OkStatus();
  return InvalidArgumentError(
      "its weights hold the tensor " + Printable(name, 200) +
      ", which config.json doesn't account for (it says " + std::to_string(layout.num_layers) +
      " layers); put the config.json beside them that they were saved with");
}

Status CheckTensor(const safetensors::TensorInfo& found, const families::TensorShape& wanted) {
  if (!IsReadable(found.dtype)) {
    return InvalidArgumentError("its tensor " + wanted.name + " is " +
                                std::string(safetensors::DTypeName(found.dtype)) +
                                "; weights in F32, F16, BF16 and F64 are read: save the model "
                                "again in one of them");
  }
  if (found.shape != wanted.shape) {
    return InvalidArgumentError("its tensor " + wanted.name +
                                " hasn't the shape that config.json implies; put the config.json "
                                "beside the weights that they were saved with");
  }
  return OkStatus();
}

}  // namespace

std::string StoredName(const Checkpoint& checkpoint, const families::Layout& layout,
                       std::string_view name) {
  if (checkpoint.Find(name) != nullptr) return std::string(name);
  if (!name.starts_with(layout.prefix)) return {};
  const std::string_view bare = name.substr(layout.prefix.size());
  return checkpoint.Find(bare) != nullptr ? std::string(bare) : std::string();
}

Status CheckTensors(const Checkpoint& checkpoint, const families::Layout& layout) {
  std::set<std::string> wanted;
  for (const families::TensorShape& tensor : layout.tensors) {
    const std::string stored = StoredName(checkpoint, layout, tensor.name);
    if (stored.empty()) return Lacks(checkpoint, tensor.name);
    GRAFT_RETURN_IF_ERROR(CheckTensor(*checkpoint.Find(stored), tensor));
    wanted.insert(stored);
  }
  for (const std::string& name : checkpoint.names()) {
    if (!wanted.contains(name)) GRAFT_RETURN_IF_ERROR(CheckSpare(layout, name));
  }
  return OkStatus();
}

Status CheckTokenizer(const tokenizers::Tokenizer& tokenizer, const families::Layout& layout) {
  if (tokenizer.vocab_size() > layout.vocab_size) {
    return InvalidArgumentError("its tokenizer knows " + std::to_string(tokenizer.vocab_size()) +
                                " tokens, its embeddings hold " +
                                std::to_string(layout.vocab_size));
  }
  // The types stand in the templates, whatever the texts are.
  if (!HoldsTypes(tokenizer.Encode("a", {}), layout)) {
    return InvalidArgumentError("its tokenizer gives a text other token types than the " +
                                std::to_string(layout.type_vocab_size) + " of its embeddings");
  }
  return OkStatus();
}

bool HoldsTypes(const tokenizers::Encoding& encoding, const families::Layout& layout) {
  return layout.type_vocab_size == 0 ||
         std::all_of(encoding.type_ids.begin(), encoding.type_ids.end(),
                     [&](int32_t type) { return type < layout.type_vocab_size; });
}

}  // namespace graft::bases
