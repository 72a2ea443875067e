#include "common/families/distilbert.h"

#include "common/families/config_reader.h"
#include "common/families/layout_builder.h"

namespace graft::families {

namespace {

StatusOr<Layout> ReadFields(const Json& config) {
  ConfigReader read(config);
  Layout layout;
  layout.family = "distilbert";
  layout.prefix = "distilbert.";
  layout.hidden = read.Integer("dim", 1, 1 << 16);
  layout.num_layers = read.Integer("n_layers", 1, 1024);
  layout.num_heads = read.Integer("n_heads", 1, 1024);
  layout.intermediate = read.Integer("hidden_dim", 1, 1 << 18);
  layout.vocab_size = read.Integer("vocab_size", 1, 1 << 24);
  layout.max_positions = read.Integer("max_position_embeddings", 1, 1 << 20, 512);
  layout.activation = read.Text("activation", "gelu");
  GRAFT_RETURN_IF_ERROR(read.status());
  if (layout.hidden % layout.num_heads != 0)
    return InvalidArgumentError("config.json: dim isn't a multiple of n_heads");
  GRAFT_RETURN_IF_ERROR(CheckActivation(layout.activation));
  layout.num_kv_heads = layout.num_heads;
  layout.head_dim = layout.hidden / layout.num_heads;
  layout.norm_eps = 1e-12;  // Fixed in transformers' modeling_distilbert.py.
  return layout;
}

void AddLayer(int i, Layout& layout, LayoutBuilder& add) {
  const int64_t d = layout.hidden;
  const std::string layer = "distilbert.transformer.layer." + std::to_string(i) + ".";
  add.AddLinear(layer + "attention.q_lin", d, d, i, LinearRole::kQuery);
  add.AddLinear(layer + "attention.k_lin", d, d, i, LinearRole::kKey);
  add.AddLinear(layer + "attention.v_lin", d, d, i, LinearRole::kValue);
  add.AddLinear(layer + "attention.out_lin", d, d, i, LinearRole::kAttentionOutput);
  add.AddNorm(layer + "sa_layer_norm", i);
  add.AddLinear(layer + "ffn.lin1", d, layout.intermediate, i, LinearRole::kUp);
  add.AddLinear(layer + "ffn.lin2", layout.intermediate, d, i, LinearRole::kDown);
  add.AddNorm(layer + "output_layer_norm", i);
  layout.sublayers.push_back({SublayerKind::kAttention, i, layer + "sa_layer_norm",
                              layer + "attention_adapters.adapters"});
  layout.sublayers.push_back({SublayerKind::kFeedForward, i, layer + "output_layer_norm",
                              layer + "output_adapters.adapters"});
}

}  // namespace

StatusOr<Layout> ReadDistilBertLayout(const Json& config,
                                      const std::vector<std::string>& /*checkpoint_tensors*/) {
  GRAFT_ASSIGN_OR_RETURN(Layout layout, ReadFields(config));
  const int64_t d = layout.hidden;
  LayoutBuilder add(layout);
  const std::string embeddings = "distilbert.embeddings.";
  add.AddTensor(embeddings + "word_embeddings.weight", {layout.vocab_size, d}, kBelowLayers);
  add.AddTensor(embeddings + "position_embeddings.weight", {layout.max_positions, d}, kBelowLayers);
  add.AddNorm(embeddings + "LayerNorm", kBelowLayers);
  for (int i = 0; i < layout.num_layers; ++i) AddLayer(i, layout, add);
  // Both are new in transformers' DistilBertForSequenceClassification, so both belong to the
  // adapter.
  layout.head.push_back({"pre_classifier", d, d, "relu", false});
  layout.head.push_back({"classifier", d, 0, "", false});
  layout.default_lora_targets = {"q_lin", "v_lin"};
  layout.embeddings = {.words = embeddings + "word_embeddings",
                       .positions = embeddings + "position_embeddings",
                       .token_types = "",
                       .norm = embeddings + "LayerNorm"};
  layout.model_class = "DistilBert";
  layout.fingerprint_config = {{"model_type", "distilbert"},
                               {"dim", d},
                               {"n_layers", layout.num_layers},
                               {"n_heads", layout.num_heads},
                               {"hidden_dim", layout.intermediate},
                               {"vocab_size", layout.vocab_size},
                               {"max_position_embeddings", layout.max_positions},
                               {"activation", layout.activation}};
  return layout;
}

}  // namespace graft::families
