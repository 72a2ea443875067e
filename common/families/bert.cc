#include "common/families/bert.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/families/config_reader.h"
#include "common/families/layout_builder.h"

namespace graft::families {
namespace {

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

StatusOr<Layout> ReadFields(const Json& config) {
  ConfigReader read(config);
  Layout layout;
  layout.family = "bert";
  layout.prefix = "bert.";
  layout.hidden = read.Integer("hidden_size", 1, 1 << 16);
  layout.num_layers = read.Integer("num_hidden_layers", 1, 1024);
  layout.num_heads = read.Integer("num_attention_heads", 1, 1024);
  layout.intermediate = read.Integer("intermediate_size", 1, 1 << 18);
  layout.vocab_size = read.Integer("vocab_size", 1, 1 << 24);
  layout.max_positions = read.Integer("max_position_embeddings", 1, 1 << 20);
  layout.type_vocab_size = read.Integer("type_vocab_size", 1, 1024, 2);
  layout.norm_eps = read.Number("layer_norm_eps", 0, 1, 1e-12);
  layout.activation = read.Text("hidden_act", "gelu");
  const std::string positions = read.Text("position_embedding_type", "absolute");
  if (config.contains("position_embedding_type") && config["position_embedding_type"].is_null()) {
    return UnimplementedError(
        "config.json: position_embedding_type null isn't built: transformers 4 takes it for none, "
        "5 for absolute; state absolute");
  }
  const bool decoder = read.Flag("is_decoder", false) || read.Flag("add_cross_attention", false);
  GRAFT_RETURN_IF_ERROR(read.status());
  if (layout.hidden % layout.num_heads != 0) {
    return InvalidArgumentError("config.json: hidden_size isn't a multiple of num_attention_heads");
  }
  if (positions != "absolute") {
    return UnimplementedError("config.json: position_embedding_type " + Quoted(positions) +
                              " isn't built; absolute is");
  }
  if (decoder) return UnimplementedError("config.json: BERT as a decoder isn't built");
  GRAFT_RETURN_IF_ERROR(CheckActivation(layout.activation));
  layout.num_kv_heads = layout.num_heads;
  layout.head_dim = layout.hidden / layout.num_heads;
  return layout;
}

void AddEmbeddings(Layout& layout, LayoutBuilder& add) {
  const int64_t d = layout.hidden;
  const std::string embeddings = "bert.embeddings.";
  add.AddTensor(embeddings + "word_embeddings.weight", {layout.vocab_size, d}, kBelowLayers);
  add.AddTensor(embeddings + "position_embeddings.weight", {layout.max_positions, d}, kBelowLayers);
  add.AddTensor(embeddings + "token_type_embeddings.weight", {layout.type_vocab_size, d},
                kBelowLayers);
  add.AddNorm(embeddings + "LayerNorm", kBelowLayers);
  layout.embeddings = {.words = embeddings + "word_embeddings",
                       .positions = embeddings + "position_embeddings",
                       .token_types = embeddings + "token_type_embeddings",
                       .norm = embeddings + "LayerNorm"};
}

void AddLayer(int i, Layout& layout, LayoutBuilder& add) {
  const int64_t d = layout.hidden;
  const std::string layer = "bert.encoder.layer." + std::to_string(i) + ".";
  add.AddLinear(layer + "attention.self.query", d, d, i, LinearRole::kQuery);
  add.AddLinear(layer + "attention.self.key", d, d, i, LinearRole::kKey);
  add.AddLinear(layer + "attention.self.value", d, d, i, LinearRole::kValue);
  add.AddLinear(layer + "attention.output.dense", d, d, i, LinearRole::kAttentionOutput);
  add.AddNorm(layer + "attention.output.LayerNorm", i);
  add.AddLinear(layer + "intermediate.dense", d, layout.intermediate, i, LinearRole::kUp);
  add.AddLinear(layer + "output.dense", layout.intermediate, d, i, LinearRole::kDown);
  add.AddNorm(layer + "output.LayerNorm", i);
  layout.sublayers.push_back({SublayerKind::kAttention, i, layer + "attention.output.LayerNorm",
                              layer + "attention.output.adapters"});
  layout.sublayers.push_back(
      {SublayerKind::kFeedForward, i, layer + "output.LayerNorm", layer + "output.adapters"});
}

void AddHead(bool has_pooler, Layout& layout, LayoutBuilder& add) {
  const int64_t d = layout.hidden;
  // PEFT wraps modules, and the pooler is the module around the dense layer.
  layout.head.push_back({.path = "bert.pooler.dense",
                         .in = d,
                         .out = d,
                         .activation = "tanh",
                         .in_base = has_pooler,
                         .peft_module = "pooler"});
  layout.head.push_back({"classifier", d, 0, "", false});
  if (has_pooler) {
    add.AddTensor("bert.pooler.dense.weight", {d, d}, kAboveLayers);
    add.AddTensor("bert.pooler.dense.bias", {d}, kAboveLayers, TensorRole::kBias);
  }
}

Json FingerprintConfig(const Layout& layout) {
  return {{"model_type", "bert"},
          {"hidden_size", layout.hidden},
          {"num_hidden_layers", layout.num_layers},
          {"num_attention_heads", layout.num_heads},
          {"intermediate_size", layout.intermediate},
          {"vocab_size", layout.vocab_size},
          {"max_position_embeddings", layout.max_positions},
          {"type_vocab_size", layout.type_vocab_size},
          {"layer_norm_eps", layout.norm_eps},
          {"hidden_act", layout.activation}};
}

}  // namespace

StatusOr<Layout> ReadBertLayout(const Json& config,
                                const std::vector<std::string>& checkpoint_tensors) {
  GRAFT_ASSIGN_OR_RETURN(Layout layout, ReadFields(config));
  LayoutBuilder add(layout);
  AddEmbeddings(layout, add);
  for (int i = 0; i < layout.num_layers; ++i) AddLayer(i, layout, add);
  AddHead(Has(checkpoint_tensors, "bert.pooler.dense.weight") ||
              Has(checkpoint_tensors, "pooler.dense.weight"),
          layout, add);
  layout.default_lora_targets = {"query", "value"};
  layout.model_class = "Bert";
  layout.fingerprint_config = FingerprintConfig(layout);
  return layout;
}

}  // namespace graft::families
