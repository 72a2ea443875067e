#include "common/families/decoder.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/families/config_reader.h"
#include "common/families/language_head.h"
#include "common/families/layout_builder.h"
#include "common/families/rope.h"

namespace graft::families {
namespace {

constexpr int64_t kLeastHeadDim = 2, kMostHeadDim = 512;

/// Sizes, which alone say what the tensors' shapes are.
Status ReadSizes(const Json& config, const DecoderOptions& options, Layout& layout) {
  ConfigReader read(config);
  layout.hidden = read.Integer("hidden_size", 1, 1 << 16);
  layout.num_layers = read.Integer("num_hidden_layers", 1, 1024);
  layout.num_heads = read.Integer("num_attention_heads", 1, 1024);
  // Absent is the family's default, null is as many as heads.
  const int64_t kv_heads = options.default_kv_heads > 0 && !config.contains("num_key_value_heads")
                               ? options.default_kv_heads
                               : layout.num_heads;
  layout.num_kv_heads = read.Integer("num_key_value_heads", 1, 1024, kv_heads);
  const int64_t head_dim = options.default_head_dim > 0
                               ? options.default_head_dim
                               : layout.hidden / std::max<int64_t>(layout.num_heads, 1);
  layout.head_dim =
      read.Integer("head_dim", kLeastHeadDim, kMostHeadDim, std::max<int64_t>(head_dim, 0));
  layout.intermediate = read.Integer("intermediate_size", 1, 1 << 20);
  layout.vocab_size = read.Integer("vocab_size", 1, 1 << 24);
  layout.max_positions = read.Integer("max_position_embeddings", 1, kMostPositions);
  layout.norm_eps = read.Number("rms_norm_eps", 0, 1, 1e-6);
  layout.activation = read.Text("hidden_act", "silu");
  GRAFT_RETURN_IF_ERROR(read.status());
  // What an absent field follows from isn't in the field's range by itself.
  if (layout.head_dim < kLeastHeadDim || layout.head_dim > kMostHeadDim) {
    return InvalidArgumentError("config.json: hidden_size / num_attention_heads is " +
                                std::to_string(layout.head_dim) + ", and head_dim must be from " +
                                std::to_string(kLeastHeadDim) + " to " +
                                std::to_string(kMostHeadDim));
  }
  if (layout.num_heads % layout.num_kv_heads != 0) {
    return InvalidArgumentError(
        "config.json: num_attention_heads isn't a multiple of num_key_value_heads");
  }
  if (layout.head_dim % 2 != 0)
    return InvalidArgumentError("config.json: head_dim is odd; rotary positions take pairs");
  return CheckActivation(layout.activation);
}

void AddLayer(const DecoderOptions& options, int i, Layout& layout) {
  LayoutBuilder add(layout);
  const int64_t d = layout.hidden, f = layout.intermediate;
  const int64_t q = layout.num_heads * layout.head_dim, kv = layout.num_kv_heads * layout.head_dim;
  const std::string layer = "model.layers." + std::to_string(i) + ".";
  const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
  using enum LinearRole;
  add.AddRmsNorm(layer + "input_layernorm", d, i);
  add.AddLinear(attention + "q_proj", d, q, i, kQuery, options.qkv_bias);
  add.AddLinear(attention + "k_proj", d, kv, i, kKey, options.qkv_bias);
  add.AddLinear(attention + "v_proj", d, kv, i, kValue, options.qkv_bias);
  if (options.head_norms) {
    add.AddRmsNorm(attention + "q_norm", layout.head_dim, i);
    add.AddRmsNorm(attention + "k_norm", layout.head_dim, i);
  }
  add.AddLinear(attention + "o_proj", q, d, i, kAttentionOutput, options.output_bias);
  add.AddRmsNorm(layer + "post_attention_layernorm", d, i);
  add.AddLinear(mlp + "gate_proj", d, f, i, kGate, options.mlp_bias);
  add.AddLinear(mlp + "up_proj", d, f, i, kUp, options.mlp_bias);
  add.AddLinear(mlp + "down_proj", f, d, i, kDown, options.mlp_bias);
  layout.sublayers.push_back({SublayerKind::kAttention, i, layer + "input_layernorm",
                              layer + "attention_adapters.adapters"});
  layout.sublayers.push_back({SublayerKind::kFeedForward, i, layer + "post_attention_layernorm",
                              layer + "output_adapters.adapters"});
}

/// The layer to the vocabulary: the embeddings themselves, or a matrix of its own if the checkpoint
/// has one (a classifier's or an embedder's hasn't).
void AddLanguageHead(bool tied, const std::vector<std::string>& checkpoint_tensors,
                     Layout& layout) {
  const std::string weight = std::string(kLanguageHead) + ".weight";
  const bool own = std::find(checkpoint_tensors.begin(), checkpoint_tensors.end(), weight) !=
                   checkpoint_tensors.end();
  if (!tied && !own) return;
  layout.language_head.push_back({.path = tied ? layout.embeddings.words : kLanguageHead,
                                  .in = layout.hidden,
                                  .out = layout.vocab_size,
                                  .activation = "",
                                  .in_base = true,
                                  .bias = false,
                                  .narrow = true});
  if (!tied) {
    LayoutBuilder(layout).AddTensor(weight, {layout.vocab_size, layout.hidden}, kAboveLayers);
  }
}

/// See Layout::token_ids. What is none isn't kept: where it matters it is refused (the reading
/// of end tokens, bases/generation_config.h), else nothing depends on it.
Json ReadTokenIds(const Json& config) {
  Json ids = Json::object();
  for (const char* name : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    const auto found = config.find(name);
    if (found == config.end()) continue;
    const bool list =
        found->is_array() && std::all_of(found->begin(), found->end(),
                                         [](const Json& one) { return one.is_number_integer(); });
    if (found->is_null() || found->is_number_integer() || list) ids[name] = *found;
  }
  return ids;
}

}  // namespace

StatusOr<int64_t> ReadNumLayers(const Json& config) {
  ConfigReader read(config);
  const int64_t layers = read.Integer("num_hidden_layers", 1, 1024);
  GRAFT_RETURN_IF_ERROR(read.status());
  return layers;
}

StatusOr<std::vector<int64_t>> ReadWindows(const Json& config, int64_t num_layers, bool used,
                                           const std::vector<bool>& slides) {
  ConfigReader read(config);
  // Absent is the default, null is none.
  const int64_t absent = config.contains("sliding_window") ? 0 : 4096;
  const int64_t window = read.Integer("sliding_window", 1, 1 << 24, absent);
  GRAFT_RETURN_IF_ERROR(read.status());
  std::vector<int64_t> windows(static_cast<size_t>(num_layers), 0);
  const Json types = config.value("layer_types", Json());
  if (!types.is_null() && (!types.is_array() || types.size() != static_cast<size_t>(num_layers))) {
    return InvalidArgumentError("config.json: layer_types must name a type for each of the " +
                                std::to_string(num_layers) + " layers");
  }
  for (size_t i = 0; i < windows.size(); ++i) {
    bool slid = slides[i];
    if (!types.is_null()) {
      if (types[i] != "sliding_attention" && types[i] != "full_attention") {
        return UnimplementedError("config.json: the layer type " + Printable(types[i].dump(), 80) +
                                  " isn't built; full_attention and sliding_attention are");
      }
      slid = types[i] == "sliding_attention";
    }
    if (slid && used) windows[i] = window;
  }
  return windows;
}

StatusOr<std::vector<int64_t>> ReadQwenWindows(const Json& config) {
  GRAFT_ASSIGN_OR_RETURN(const int64_t layers, ReadNumLayers(config));
  ConfigReader read(config);
  const bool used = read.Flag("use_sliding_window", false);
  const int64_t first = read.Integer("max_window_layers", 0, 1 << 20, 28);
  GRAFT_RETURN_IF_ERROR(read.status());
  std::vector<bool> slides;
  for (int64_t i = 0; i < layers; ++i) slides.push_back(i >= first);
  return ReadWindows(config, layers, used, slides);
}

StatusOr<Layout> ReadDecoderLayout(const Json& config,
                                   const std::vector<std::string>& checkpoint_tensors,
                                   const DecoderOptions& options) {
  Layout layout;
  layout.family = options.family;
  layout.model_class = options.model_class;
  layout.prefix = "model.";
  layout.causal = true;
  layout.head_norms = options.head_norms;
  layout.windows = options.windows;
  GRAFT_RETURN_IF_ERROR(ReadSizes(config, options, layout));
  ConfigReader read(config);
  const bool tied = read.Flag("tie_word_embeddings", false);
  GRAFT_RETURN_IF_ERROR(read.status());
  GRAFT_ASSIGN_OR_RETURN(const RopeReading rope,
                         ReadRope(config, layout.head_dim, layout.max_positions));
  layout.rope = rope.rope;

  LayoutBuilder add(layout);
  layout.embeddings.words = "model.embed_tokens";
  add.AddTensor("model.embed_tokens.weight", {layout.vocab_size, layout.hidden}, kBelowLayers);
  for (int i = 0; i < layout.num_layers; ++i) AddLayer(options, i, layout);
  layout.final_norm = "model.norm";
  // It is computed with the last layer, and trained with it.
  add.AddRmsNorm(layout.final_norm, layout.hidden, static_cast<int>(layout.num_layers) - 1);
  AddLanguageHead(tied, checkpoint_tensors, layout);
  layout.head.push_back({.path = "score", .in = layout.hidden, .activation = "", .bias = false});
  layout.default_lora_targets = {"q_proj", "v_proj"};
  layout.fingerprint_config = {{"model_type", layout.family},
                               {"hidden_size", layout.hidden},
                               {"num_hidden_layers", layout.num_layers},
                               {"num_attention_heads", layout.num_heads},
                               {"num_key_value_heads", layout.num_kv_heads},
                               {"head_dim", layout.head_dim},
                               {"intermediate_size", layout.intermediate},
                               {"vocab_size", layout.vocab_size},
                               {"max_position_embeddings", layout.max_positions},
                               {"rms_norm_eps", layout.norm_eps},
                               {"hidden_act", layout.activation},
                               {"tie_word_embeddings", tied},
                               {"rope_parameters", rope.canonical}};
  layout.max_positions = rope.max_positions;
  layout.token_ids = ReadTokenIds(config);
  return layout;
}

}  // namespace graft::families
