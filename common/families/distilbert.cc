#include "common/families/distilbert.h"

#include "common/families/config_reader.h"

namespace graft::families {

StatusOr<Layout> ReadDistilBertLayout(const Json& config,
                                      const std::vector<std::string>& /*checkpoint_tensors*/) {
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
  layout.head_dim = layout.hidden / layout.num_heads;
  layout.norm_eps = 1e-12;  // Fixed in transformers' modeling_distilbert.py.

  const int64_t d = layout.hidden;
  const auto add_tensor = [&](const std::string& name, std::vector<int64_t> shape, int layer) {
    layout.tensors.push_back({name, std::move(shape), layer});
  };
  const auto add_linear = [&](const std::string& path, int64_t in, int64_t out, int layer) {
    layout.linears.push_back({path, in, out, layer});
    add_tensor(path + ".weight", {out, in}, layer);
    add_tensor(path + ".bias", {out}, layer);
  };
  const auto add_norm = [&](const std::string& path, int layer) {
    add_tensor(path + ".weight", {d}, layer);
    add_tensor(path + ".bias", {d}, layer);
  };
  add_tensor("distilbert.embeddings.word_embeddings.weight", {layout.vocab_size, d}, -1);
  add_tensor("distilbert.embeddings.position_embeddings.weight", {layout.max_positions, d}, -1);
  add_norm("distilbert.embeddings.LayerNorm", -1);
  for (int i = 0; i < layout.num_layers; ++i) {
    const std::string layer = "distilbert.transformer.layer." + std::to_string(i) + ".";
    for (const char* name : {"q_lin", "k_lin", "v_lin", "out_lin"})
      add_linear(layer + "attention." + name, d, d, i);
    add_norm(layer + "sa_layer_norm", i);
    add_linear(layer + "ffn.lin1", d, layout.intermediate, i);
    add_linear(layer + "ffn.lin2", layout.intermediate, d, i);
    add_norm(layer + "output_layer_norm", i);
    layout.sublayers.push_back(
        {SublayerKind::kAttention, i, layer + "attention_adapters.adapters"});
    layout.sublayers.push_back({SublayerKind::kFeedForward, i, layer + "output_adapters.adapters"});
  }
  // Both are new in transformers' DistilBertForSequenceClassification, so both belong to the
  // adapter.
  layout.head.push_back({"pre_classifier", d, d, "relu", false});
  layout.head.push_back({"classifier", d, 0, "", false});
  layout.default_lora_targets = {"q_lin", "v_lin"};
  layout.hub_model_class = "DistilBertAdapterModel";
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
