#include "worker/engine/families/encoder.h"

#include <algorithm>

#include "worker/engine/activation.h"
#include "worker/engine/attention.h"
#include "worker/engine/norm.h"

namespace graft::worker::engine {
namespace {

size_t IndexOfLinear(const families::Layout& layout, const std::string& path) {
  const auto found = std::find_if(layout.linears.begin(), layout.linears.end(),
                                  [&](const auto& linear) { return linear.path == path; });
  TORCH_CHECK(found != layout.linears.end(), "the layout has no linear layer ", path);
  return static_cast<size_t>(found - layout.linears.begin());
}

size_t IndexOfSublayer(const families::Layout& layout, int layer, families::SublayerKind kind) {
  const auto found = std::find_if(
      layout.sublayers.begin(), layout.sublayers.end(),
      [&](const auto& sublayer) { return sublayer.layer == layer && sublayer.kind == kind; });
  TORCH_CHECK(found != layout.sublayers.end(), "the layout lacks a sublayer of layer ", layer);
  return static_cast<size_t>(found - layout.sublayers.begin());
}

}  // namespace

StatusOr<EncoderNames> NamesOfEncoder(const std::string& family) {
  if (family == "bert") {
    return EncoderNames{.embeddings = "bert.embeddings.",
                        .has_token_types = true,
                        .layer_prefix = "bert.encoder.layer.",
                        .query = "attention.self.query",
                        .key = "attention.self.key",
                        .value = "attention.self.value",
                        .attention_output = "attention.output.dense",
                        .attention_norm = "attention.output.LayerNorm",
                        .up = "intermediate.dense",
                        .down = "output.dense",
                        .output_norm = "output.LayerNorm"};
  }
  if (family == "distilbert") {
    return EncoderNames{.embeddings = "distilbert.embeddings.",
                        .has_token_types = false,
                        .layer_prefix = "distilbert.transformer.layer.",
                        .query = "attention.q_lin",
                        .key = "attention.k_lin",
                        .value = "attention.v_lin",
                        .attention_output = "attention.out_lin",
                        .attention_norm = "sa_layer_norm",
                        .up = "ffn.lin1",
                        .down = "ffn.lin2",
                        .output_norm = "output_layer_norm"};
  }
  return UnimplementedError("the engine has no encoder of family " + family);
}

EncoderModel::EncoderModel(const families::Layout& layout, EncoderNames names)
    : layout_(layout), names_(std::move(names)) {
  for (int i = 0; i < layout_.num_layers; ++i) {
    const std::string prefix = names_.layer_prefix + std::to_string(i) + ".";
    LayerNames layer;
    LinearSite qkv;
    int64_t column = 0;
    for (const std::string& name : {names_.query, names_.key, names_.value}) {
      layer.qkv_weight.push_back(prefix + name + ".weight");
      layer.qkv_bias.push_back(prefix + name + ".bias");
      qkv.slices.push_back(
          {IndexOfLinear(layout_, prefix + name), column, column + layout_.hidden});
      column += layout_.hidden;
    }
    layer.query.slices = {{qkv.slices[0].linear, 0, layout_.hidden}};
    layer.key_value.slices = {{qkv.slices[1].linear, 0, layout_.hidden},
                              {qkv.slices[2].linear, layout_.hidden, 2 * layout_.hidden}};
    layer.qkv = std::move(qkv);
    layer.attention_output = prefix + names_.attention_output;
    layer.attention_norm = prefix + names_.attention_norm;
    layer.up = prefix + names_.up;
    layer.down = prefix + names_.down;
    layer.output_norm = prefix + names_.output_norm;
    layer.attention_output_site.slices = {
        {IndexOfLinear(layout_, layer.attention_output), 0, layout_.hidden}};
    layer.up_site.slices = {{IndexOfLinear(layout_, layer.up), 0, layout_.intermediate}};
    layer.down_site.slices = {{IndexOfLinear(layout_, layer.down), 0, layout_.hidden}};
    layer.attention_sublayer = IndexOfSublayer(layout_, i, families::SublayerKind::kAttention);
    layer.output_sublayer = IndexOfSublayer(layout_, i, families::SublayerKind::kFeedForward);
    layers_.push_back(std::move(layer));
  }
}

at::Tensor EncoderModel::Embed(const Pass& pass) const {
  const WeightSet& weights = pass.weights();
  const PackedBatch& batch = pass.batch();
  const auto table = [&](const char* name) {
    return weights.Matrix(names_.embeddings + name + ".weight");
  };
  at::Tensor sum = at::embedding(table("word_embeddings"), batch.token_ids_T);
  if (names_.has_token_types)
    sum = sum + at::embedding(table("token_type_embeddings"), batch.type_ids_T);
  sum = sum + at::embedding(table("position_embeddings"), batch.position_ids_T);
  const std::string norm = names_.embeddings + "LayerNorm";
  return LayerNorm(sum, weights.NormVector(norm + ".weight"), weights.NormVector(norm + ".bias"),
                   layout_.norm_eps);
}

at::Tensor EncoderModel::Layer(int64_t index, const at::Tensor& hidden, const Pass& pass,
                               bool pooled) const {
  const LayerNames& layer = layers_[index];
  const WeightSet& weights = pass.weights();
  const Pass::Rows rows = pooled ? Pass::Rows::kPooled : Pass::Rows::kTokens;
  const auto linear = [&](const LinearSite& site, const at::Tensor& x, const std::string& name) {
    return pass.Linear(site, x, weights.Matrix(name + ".weight"), weights.Bias(name + ".bias"),
                       rows);
  };
  const auto norm = [&](const std::string& name) -> Adapter::Norm {
    return [this, weight = weights.NormVector(name + ".weight"),
            bias = weights.NormVector(name + ".bias")](const at::Tensor& x) {
      return LayerNorm(x, weight, bias, layout_.norm_eps);
    };
  };

  at::Tensor x = hidden;
  at::Tensor attended;
  if (pooled) {
    x = hidden.index_select(0, pass.batch().first_rows_S);
    const at::Tensor kv = pass.Linear(
        layer.key_value, hidden, weights.FusedMatrix({layer.qkv_weight[1], layer.qkv_weight[2]}),
        weights.FusedBias({layer.qkv_bias[1], layer.qkv_bias[2]}), Pass::Rows::kTokens);
    const at::Tensor q = pass.Linear(layer.query, x, weights.Matrix(layer.qkv_weight[0]),
                                     weights.Bias(layer.qkv_bias[0]), Pass::Rows::kPooled);
    attended = AttendPooled(q, kv, pass.batch(), layout_.num_heads);
  } else {
    const at::Tensor qkv = pass.Linear(layer.qkv, x, weights.FusedMatrix(layer.qkv_weight),
                                       weights.FusedBias(layer.qkv_bias), rows);
    attended = Attend(qkv, pass.batch(), layout_.num_heads);
  }
  const at::Tensor attention_out =
      linear(layer.attention_output_site, attended, layer.attention_output);
  const at::Tensor middle =
      pass.Sublayer(layer.attention_sublayer, x, attention_out, norm(layer.attention_norm), rows);
  const at::Tensor widened = Activate(linear(layer.up_site, middle, layer.up), layout_.activation);
  const at::Tensor narrowed = linear(layer.down_site, widened, layer.down);
  return pass.Sublayer(layer.output_sublayer, middle, narrowed, norm(layer.output_norm), rows);
}

}  // namespace graft::worker::engine
