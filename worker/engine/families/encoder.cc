#include "worker/engine/families/encoder.h"

#include "worker/engine/activation.h"
#include "worker/engine/attention.h"
#include "worker/engine/norm.h"

namespace graft::worker::engine {

EncoderModel::EncoderModel(const families::Layout& layout) : layout_(layout) {
  using enum families::LinearRole;
  for (int64_t i = 0; i < layout_.num_layers; ++i) {
    LayerParts layer;
    // The path of the layer's one linear layer of a role; `site` is it alone.
    const auto alone = [&](families::LinearRole role, LinearSite& site) {
      const size_t index = layout_.LinearAt(i, role);
      site.slices = {{index, 0, layout_.linears[index].out}};
      return layout_.linears[index].path;
    };
    LinearSite qkv;
    int64_t column = 0;
    for (const families::LinearRole role : {kQuery, kKey, kValue}) {
      const size_t index = layout_.LinearAt(i, role);
      const std::string& path = layout_.linears[index].path;
      layer.qkv_weight.push_back(path + ".weight");
      layer.qkv_bias.push_back(path + ".bias");
      qkv.slices.push_back({index, column, column + layout_.hidden});
      column += layout_.hidden;
    }
    layer.query.slices = {{qkv.slices[0].linear, 0, layout_.hidden}};
    layer.key_value.slices = {{qkv.slices[1].linear, 0, layout_.hidden},
                              {qkv.slices[2].linear, layout_.hidden, 2 * layout_.hidden}};
    layer.qkv = std::move(qkv);
    layer.attention_output = alone(kAttentionOutput, layer.attention_output_site);
    layer.up = alone(kUp, layer.up_site);
    layer.down = alone(kDown, layer.down_site);
    layer.attention_sublayer = layout_.SublayerAt(i, families::SublayerKind::kAttention);
    layer.output_sublayer = layout_.SublayerAt(i, families::SublayerKind::kFeedForward);
    layer.attention_norm = layout_.sublayers[layer.attention_sublayer].norm;
    layer.output_norm = layout_.sublayers[layer.output_sublayer].norm;
    layers_.push_back(std::move(layer));
  }
}

at::Tensor EncoderModel::Embed(const Pass& pass) const {
  const WeightSet& weights = pass.weights();
  const PackedBatch& batch = pass.batch();
  const auto rows = [&](const std::string& table, const at::Tensor& ids) {
    return at::embedding(weights.Matrix(table + ".weight"), ids);
  };
  const families::Embeddings& from = layout_.embeddings;
  at::Tensor sum = rows(from.words, batch.token_ids_T);
  if (!from.token_types.empty()) sum = sum + rows(from.token_types, batch.type_ids_T);
  sum = sum + rows(from.positions, batch.position_ids_T);
  return LayerNorm(sum, weights.NormVector(from.norm + ".weight"),
                   weights.NormVector(from.norm + ".bias"), layout_.norm_eps);
}

at::Tensor EncoderModel::Layer(int64_t index, const at::Tensor& hidden, const Pass& pass,
                               bool pooled) const {
  const LayerParts& layer = layers_[index];
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
