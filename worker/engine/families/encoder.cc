#include "worker/engine/families/encoder.h"

#include "worker/engine/families/sites.h"
#include "worker/engine/kernels/activation.h"
#include "worker/engine/kernels/norm.h"

namespace graft::worker::engine {

using families::LinearRole;
using families::SublayerKind;

EncoderModel::EncoderModel(const Base& base)
    : attention_{.heads = base.layout().num_heads,
                 .kv_heads = base.layout().num_heads,
                 .head_dim = base.layout().head_dim},
      norm_eps_(base.layout().norm_eps),
      activation_(base.layout().activation) {
  const families::Layout& layout = base.layout();
  const auto table = [&](const std::string& path) { return MatrixOf(base, {path + ".weight"}); };
  const auto norm = [&](const std::string& path) {
    return NormParts{NormVectorOf(base, path + ".weight"), NormVectorOf(base, path + ".bias")};
  };
  words_ = table(layout.embeddings.words);
  positions_ = table(layout.embeddings.positions);
  if (!layout.embeddings.token_types.empty()) token_types_ = table(layout.embeddings.token_types);
  embeddings_norm_ = norm(layout.embeddings.norm);
  using enum LinearRole;
  for (int64_t i = 0; i < layout.num_layers; ++i) {
    LayerParts layer;
    layer.qkv = SiteOf(base, i, {kQuery, kKey, kValue});
    layer.query = SiteOf(base, i, {kQuery});
    layer.key_value = SiteOf(base, i, {kKey, kValue});
    layer.attention_output = SiteOf(base, i, {kAttentionOutput});
    layer.up = SiteOf(base, i, {kUp});
    layer.down = SiteOf(base, i, {kDown});
    layer.attention_sublayer = layout.SublayerAt(i, SublayerKind::kAttention);
    layer.output_sublayer = layout.SublayerAt(i, SublayerKind::kFeedForward);
    layer.attention_norm = norm(layout.sublayers[layer.attention_sublayer].norm);
    layer.output_norm = norm(layout.sublayers[layer.output_sublayer].norm);
    layers_.push_back(std::move(layer));
  }
}

at::Tensor EncoderModel::Normalise(const NormParts& norm, const at::Tensor& x,
                                   const Pass& pass) const {
  const WeightSet& weights = pass.weights();
  return LayerNorm(x, weights.Get(norm.weight), weights.Get(norm.bias), norm_eps_);
}

at::Tensor EncoderModel::Embed(const Pass& pass) const {
  const PackedBatch& batch = pass.batch();
  const auto rows = [&](const Weight& table, const at::Tensor& ids) {
    return at::embedding(pass.weights().Get(table), ids);
  };
  at::Tensor sum = pass.Embed(words_);
  if (token_types_) sum = sum + rows(*token_types_, batch.type_ids_T);
  sum = sum + rows(positions_, batch.position_ids_T);
  return Normalise(embeddings_norm_, sum, pass);
}

at::Tensor EncoderModel::Layer(int64_t index, const at::Tensor& hidden, const Pass& pass,
                               const RowSet& rows) const {
  const LayerParts& layer = layers_[static_cast<size_t>(index)];
  const auto norm = [&](const NormParts& parts) -> Norm {
    return [this, &parts, &pass](const at::Tensor& x) { return Normalise(parts, x, pass); };
  };

  at::Tensor x = hidden;
  at::Tensor attended;
  if (rows.all()) {
    attended = pass.Attend(index, pass.Linear(layer.qkv, x, rows), attention_);
  } else {
    x = hidden.index_select(0, rows.index_R);
    const at::Tensor kv = pass.Linear(layer.key_value, hidden, pass.batch().tokens);
    attended = pass.AttendWanted(index, pass.Linear(layer.query, x, rows), kv, attention_);
  }
  const at::Tensor attention_out = pass.Linear(layer.attention_output, attended, rows);
  const at::Tensor middle =
      pass.Sublayer(layer.attention_sublayer, x, attention_out, norm(layer.attention_norm), rows);
  const at::Tensor widened = Activate(pass.Linear(layer.up, middle, rows), activation_);
  const at::Tensor narrowed = pass.Linear(layer.down, widened, rows);
  return pass.Sublayer(layer.output_sublayer, middle, narrowed, norm(layer.output_norm), rows);
}

}  // namespace graft::worker::engine
