#include "common/methods/peft_contents.h"

#include <algorithm>
#include <string_view>

#include "common/base/utf8.h"
#include "common/families/language_head.h"
#include "common/methods/lora.h"

namespace graft::methods {
namespace {

using Shapes = PeftContents::Shapes;

const std::string kHeadWeight = std::string(families::kLanguageHead) + ".weight";

Status BadTensor(const std::string& key, const std::string& what) {
  return InvalidArgumentError("adapter_model.safetensors: the tensor " + Printable(key, 200) + " " +
                              what);
}

void Erase(std::string& text, std::string_view part) {
  for (size_t at; (at = text.find(part)) != std::string::npos;) text.erase(at, part.size());
}

/// A tensor's name without what PEFT, its versions and wrappers put around it.
struct PlainName {
  std::string name;
  bool plain = true;      ///< PEFT loads exactly this key; other keys of the same name are copies.
  bool original = false;  ///< The base's own copy of a module that is saved beside it.
  std::string saved_at = {};  ///< The module that modules_to_save made a copy of; empty if none.
};

PlainName Plain(const std::string& key, const families::Layout& layout) {
  PlainName made{.name = key};
  std::string& name = made.name;
  for (const char* wrapper : {"_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."})
    Erase(name, wrapper);
  while (name.starts_with("base_model.model.") || name.starts_with("module.")) {
    name.erase(0, name.starts_with("module.") ? 7 : 17);
  }
  if (const size_t at = name.find(".original_module."); at != std::string::npos) {
    made.original = true;
    name.erase(at, std::string_view(".original_module").size());
  }
  // ".lora_A.default.weight": the adapter's name, which PEFT leaves out on saving.
  for (const char* part : {".lora_A.", ".lora_B.", ".modules_to_save."}) {
    const size_t at = name.find(part);
    if (at == std::string::npos) continue;
    const bool saved = std::string_view(part) == ".modules_to_save.";
    const size_t begin = at + std::string_view(part).size();
    const size_t dot = name.find('.', begin);
    const bool named = dot != std::string::npos;
    if (saved) made.plain = false;
    if (saved) made.saved_at = name.substr(0, at);
    if (named) name.erase(begin, dot + 1 - begin);
    if (saved) name.erase(at, std::string_view(part).size() - 1);
  }
  if (const size_t at = name.find(".base_layer."); at != std::string::npos)
    name.erase(at, std::string_view(".base_layer").size());
  // From a model without a head: transformers leaves the family's prefix out there.
  const auto known = [&](const std::string& full) {
    return std::any_of(layout.tensors.begin(), layout.tensors.end(),
                       [&](const auto& tensor) { return tensor.name.starts_with(full); });
  };
  const size_t lora = name.find(".lora_");
  const std::string module = name.substr(0, lora == std::string::npos ? name.rfind('.') : lora);
  if (!known(module + ".") && known(layout.prefix + module + ".")) name = layout.prefix + name;
  return made;
}

/// Why a tensor that PEFT may save has no place here.
std::string Foreign(const std::string& name) {
  if (name.find("lora_magnitude_vector") != std::string::npos)
    return "belongs to DoRA, which isn't built";
  if (name.find("lora_embedding_") != std::string::npos)
    return "adapts an embedding, which isn't built: LoRA of linear layers is";
  if (name.ends_with(".lora_B.bias")) return "is a bias of LoRA's (lora_bias), which isn't built";
  if (name.find("trainable_tokens") != std::string::npos)
    return "replaces single tokens' embeddings (trainable_token_indices), which isn't built";
  return "belongs to nothing in this method and base";
}

class Reader {
 public:
  Reader(const Shapes& shapes, const families::Layout& layout)
      : words_(layout.embeddings.words + ".weight"),
        vocabulary_(layout.vocab_size),
        ties_head_(families::TiesLanguageHead(layout)) {
    for (const families::Linear& linear : LoraSpec::Adaptable(layout)) linears_.insert(linear.path);
    for (const families::TensorShape& tensor : layout.tensors) base_.insert(tensor.name);
    for (const families::HeadLinear& head : layout.head) {
      if (head.in_base) continue;
      new_head_.insert(head.path + ".weight");
      if (head.bias) new_head_.insert(head.path + ".bias");
    }
    for (const auto& [key, shape] : shapes) plain_.emplace(key, Plain(key, layout));
    for (const auto& [key, name] : plain_) {
      if (name.plain && !name.original) loaded_.insert(name.name);
    }
  }

  StatusOr<PeftContents> Read(const Shapes& shapes) {
    PeftContents contents;
    std::map<std::string, std::string> taken;
    GRAFT_RETURN_IF_ERROR(CheckNesting());
    for (const auto& [key, shape] : shapes) {
      const PlainName& plain = plain_.at(key);
      const bool copy = plain.original || (!plain.plain && loaded_.contains(plain.name));
      if (copy && (base_.contains(plain.name) || new_head_.contains(plain.name))) {
        contents.names[key] = "";
        continue;
      }
      if (key.ends_with(".base_layer.weight") &&
          linears_.contains(plain.name.substr(0, plain.name.rfind('.')))) {
        return BadTensor(key,
                         "is the base's own weight: the file holds a whole model's state; save "
                         "the adapter alone with save_pretrained");
      }
      if (const auto [other, added] = taken.emplace(plain.name, key); !added) {
        return BadTensor(key, "is the same as " + Printable(other->second, 200) +
                                  ": the file holds two adapters; save one of them");
      }
      GRAFT_RETURN_IF_ERROR(Place(key, plain.name, shape, contents));
      contents.names[key] = key == contents.tied_head_key ? "" : plain.name;
    }
    return contents;
  }

 private:
  /// A module that is saved within another one is in the file more than once, with other values,
  /// and PEFT can't load it again.
  Status CheckNesting() const {
    std::map<std::string, std::string> modules;
    for (const auto& [key, plain] : plain_) {
      if (plain.saved_at.empty() || plain.original) continue;
      const auto [other, added] = modules.emplace(plain.name, plain.saved_at);
      if (added || other->second == plain.saved_at) continue;
      return BadTensor(key, "is saved with " + Printable(other->second, 200) + " and with " +
                                Printable(plain.saved_at, 200) +
                                ": modules_to_save names a module and one within it, and the file "
                                "holds more than one state of both. Train it again with names of "
                                "which none ends another's path");
    }
    return OkStatus();
  }

  Status Place(const std::string& key, const std::string& name, const std::vector<int64_t>& shape,
               PeftContents& contents) {
    for (const char* suffix : {".lora_A.weight", ".lora_B.weight"}) {
      if (!name.ends_with(suffix)) continue;
      const std::string path = name.substr(0, name.size() - std::string_view(suffix).size());
      if (new_head_.contains(path + ".weight")) {
        return BadTensor(key, "adapts the head's " + path +
                                  ", whose own weights aren't in the folder; save the head whole "
                                  "(modules_to_save) instead of adapting it");
      }
      if (path == families::kLanguageHead) {
        return BadTensor(key,
                         "adapts the layer to the vocabulary, which isn't built: LoRA of the "
                         "layers below it is, and that layer saved whole (modules_to_save)");
      }
      if (!linears_.contains(path)) return BadTensor(key, "adapts no linear layer of this base");
      if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) {
        return BadTensor(key,
                         "is empty. DeepSpeed ZeRO-3 and FSDP save such folders when the shards "
                         "aren't gathered first; gather the parameters and save the adapter again");
      }
      contents.adapted.insert(path);
      return OkStatus();
    }
    if (new_head_.contains(name)) {
      contents.head.insert(name);
      return OkStatus();
    }
    const bool is_tied_head = ties_head_ && name == kHeadWeight;
    if (!base_.contains(name) && !is_tied_head) return BadTensor(key, Foreign(name));
    if ((name == words_ || name == kHeadWeight) && !shape.empty() && shape[0] != vocabulary_) {
      return BadTensor(key, "has " + std::to_string(shape[0]) + " rows, and the base " +
                                std::to_string(vocabulary_) +
                                " tokens: it was trained on a base whose vocabulary was resized. "
                                "Import it on that base");
    }
    if (is_tied_head) {
      contents.tied_head_key = key;
      return OkStatus();
    }
    contents.replaced.insert(name);
    return OkStatus();
  }

  const std::string words_;
  const int64_t vocabulary_;
  const bool ties_head_;
  std::set<std::string> linears_, base_, new_head_;
  std::map<std::string, PlainName> plain_;
  std::set<std::string> loaded_;
};

}  // namespace

StatusOr<PeftContents> PeftContents::Read(const Shapes& shapes, const families::Layout& layout) {
  return Reader(shapes, layout).Read(shapes);
}

}  // namespace graft::methods
