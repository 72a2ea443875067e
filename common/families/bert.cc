#include "common/families/bert.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/families/config_reader.h"

namespace graft::families {
namespace {

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

StatusOr<Layout> ReadBertLayout(const Json& config,
                                const std::vector<std::string>& checkpoint_tensors) {
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
  layout.head_dim = layout.hidden / layout.num_heads;

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
  add_tensor("bert.embeddings.word_embeddings.weight", {layout.vocab_size, d}, -1);
  add_tensor("bert.embeddings.position_embeddings.weight", {layout.max_positions, d}, -1);
  add_tensor("bert.embeddings.token_type_embeddings.weight", {layout.type_vocab_size, d}, -1);
  add_norm("bert.embeddings.LayerNorm", -1);
  for (int i = 0; i < layout.num_layers; ++i) {
    const std::string layer = "bert.encoder.layer." + std::to_string(i) + ".";
    add_linear(layer + "attention.self.query", d, d, i);
    add_linear(layer + "attention.self.key", d, d, i);
    add_linear(layer + "attention.self.value", d, d, i);
    add_linear(layer + "attention.output.dense", d, d, i);
    add_norm(layer + "attention.output.LayerNorm", i);
    add_linear(layer + "intermediate.dense", d, layout.intermediate, i);
    add_linear(layer + "output.dense", layout.intermediate, d, i);
    add_norm(layer + "output.LayerNorm", i);
    layout.sublayers.push_back({SublayerKind::kAttention, i, layer + "attention.output.adapters"});
    layout.sublayers.push_back({SublayerKind::kFeedForward, i, layer + "output.adapters"});
  }
  const bool has_pooler = Has(checkpoint_tensors, "bert.pooler.dense.weight") ||
                          Has(checkpoint_tensors, "pooler.dense.weight");
  layout.head.push_back({"bert.pooler.dense", d, d, "tanh", has_pooler});
  layout.head.push_back({"classifier", d, 0, "", false});
  if (has_pooler) {
    add_tensor("bert.pooler.dense.weight", {d, d}, -1);
    add_tensor("bert.pooler.dense.bias", {d}, -1);
  }
  layout.default_lora_targets = {"query", "value"};
  layout.hub_model_class = "BertAdapterModel";
  layout.fingerprint_config = {{"model_type", "bert"},
                               {"hidden_size", d},
                               {"num_hidden_layers", layout.num_layers},
                               {"num_attention_heads", layout.num_heads},
                               {"intermediate_size", layout.intermediate},
                               {"vocab_size", layout.vocab_size},
                               {"max_position_embeddings", layout.max_positions},
                               {"type_vocab_size", layout.type_vocab_size},
                               {"layer_norm_eps", layout.norm_eps},
                               {"hidden_act", layout.activation}};
  return layout;
}

}  // namespace graft::families
