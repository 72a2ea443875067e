#include "worker/engine/families/decoder.h"

#include "worker/engine/families/sites.h"
#include "worker/engine/kernels/activation.h"
#include "worker/engine/kernels/norm.h"
#include "worker/engine/kernels/products.h"
#include "worker/engine/kernels/rope.h"

namespace graft::worker::engine {

using families::SublayerKind;

DecoderModel::DecoderModel(const Base& base)
    : rope_(base.layout().rope),
      norm_eps_(base.layout().norm_eps),
      activation_(base.layout().activation) {
  const families::Layout& layout = base.layout();
  const auto norm = [&](const std::string& path) { return NormVectorOf(base, path + ".weight"); };
  words_ = MatrixOf(base, {layout.embeddings.words + ".weight"});
  final_norm_ = norm(layout.final_norm);
  using enum families::LinearRole;
  for (int64_t i = 0; i < layout.num_layers; ++i) {
    LayerParts layer;
    layer.qkv = SiteOf(base, i, {kQuery, kKey, kValue});
    layer.query = SiteOf(base, i, {kQuery});
    layer.key_value = SiteOf(base, i, {kKey, kValue});
    layer.attention_output = SiteOf(base, i, {kAttentionOutput});
    layer.gate_up = SiteOf(base, i, {kGate, kUp});
    layer.down = SiteOf(base, i, {kDown});
    layer.attention_sublayer = layout.SublayerAt(i, SublayerKind::kAttention);
    layer.feed_forward_sublayer = layout.SublayerAt(i, SublayerKind::kFeedForward);
    layer.attention_norm = norm(layout.sublayers[layer.attention_sublayer].norm);
    layer.feed_forward_norm = norm(layout.sublayers[layer.feed_forward_sublayer].norm);
    if (layout.head_norms) {
      const std::string query = layout.linears[layout.LinearAt(i, kQuery)].path;
      const std::string module = query.substr(0, query.rfind('.') + 1);
      layer.query_norm = norm(module + "q_norm");
      layer.key_norm = norm(module + "k_norm");
    }
    layer.attention = {.heads = layout.num_heads,
                       .kv_heads = layout.num_kv_heads,
                       .head_dim = layout.head_dim,
                       .causal = true,
                       .window = layout.windows.empty() ? 0 : layout.windows[i]};
    layers_.push_back(std::move(layer));
  }
}

at::Tensor DecoderModel::Embed(const Pass& pass) const { return pass.Embed(words_).to(at::kFloat); }

at::Tensor DecoderModel::NormHeads(const at::Tensor& x, int64_t first, int64_t heads,
                                   const std::optional<Weight>& norm, const Pass& pass) const {
  if (!norm) return x;
  const int64_t size = layers_.front().attention.head_dim, begin = first * size;
  const at::Tensor part = x.narrow(1, begin, heads * size).reshape({-1, size});
  const at::Tensor normed = RmsNorm(part, pass.weights().Get(*norm), norm_eps_, x.scalar_type())
                                .view({x.size(0), heads * size});
  const int64_t end = begin + heads * size;
  return at::cat({x.narrow(1, 0, begin), normed, x.narrow(1, end, x.size(1) - end)}, 1);
}

at::Tensor DecoderModel::Attended(int64_t index, const at::Tensor& normed, const Pass& pass,
                                  const RowSet& rows) const {
  const LayerParts& layer = layers_[static_cast<size_t>(index)];
  const AttentionShape& shape = layer.attention;
  const RowSet& tokens = pass.batch().tokens;
  if (rows.all()) {
    at::Tensor qkv = pass.Linear(layer.qkv, normed, tokens);
    qkv = NormHeads(qkv, 0, shape.heads, layer.query_norm, pass);
    qkv = NormHeads(qkv, shape.heads, shape.kv_heads, layer.key_norm, pass);
    qkv = Rotate(qkv, pass.RotationOf(rope_, tokens), shape.heads + shape.kv_heads);
    return pass.Attend(index, qkv, shape);
  }
  at::Tensor kv = pass.Linear(layer.key_value, normed, tokens);
  kv = NormHeads(kv, 0, shape.kv_heads, layer.key_norm, pass);
  kv = Rotate(kv, pass.RotationOf(rope_, tokens), shape.kv_heads);
  at::Tensor q = pass.Linear(layer.query, normed.index_select(0, rows.index_R), rows);
  q = NormHeads(q, 0, shape.heads, layer.query_norm, pass);
  q = Rotate(q, pass.RotationOf(rope_, rows), shape.heads);
  return pass.AttendWanted(index, q, kv, shape);
}

at::Tensor DecoderModel::FeedForward(const LayerParts& layer, const at::Tensor& normed,
                                     const Pass& pass, const RowSet& rows) const {
  // A tape keeps the gate and what it lets through, so there both are rounded: half as large.
  const bool rounds =
      at::GradMode::is_enabled() || RoundsSums(normed.scalar_type(), normed.device());
  const at::Tensor gate_up =
      pass.Linear(layer.gate_up, normed, rows, rounds ? normed.scalar_type() : at::kFloat);
  return Gated(gate_up, activation_, normed.scalar_type());
}

at::Tensor DecoderModel::Layer(int64_t index, const at::Tensor& hidden, const Pass& pass,
                               const RowSet& rows) const {
  const LayerParts& layer = layers_[static_cast<size_t>(index)];
  const auto norm = [&](const Weight& weight, const at::Tensor& x) {
    return RmsNorm(x, pass.weights().Get(weight), norm_eps_, pass.weights().base().compute());
  };
  // The norms stand in front, so nothing stands behind a sum.
  const Norm none = [](const at::Tensor& x) { return x; };

  const at::Tensor attended = Attended(index, norm(layer.attention_norm, hidden), pass, rows);
  const at::Tensor x = rows.all() ? hidden : hidden.index_select(0, rows.index_R);
  const at::Tensor attention_out = pass.Linear(layer.attention_output, attended, rows, at::kFloat);
  const at::Tensor middle = pass.Sublayer(layer.attention_sublayer, x, attention_out, none, rows);
  const at::Tensor inner = FeedForward(layer, norm(layer.feed_forward_norm, middle), pass, rows);
  const at::Tensor narrowed = pass.Linear(layer.down, inner, rows, at::kFloat);
  const at::Tensor out = pass.Sublayer(layer.feed_forward_sublayer, middle, narrowed, none, rows);
  return index + 1 == num_layers() ? norm(final_norm_, out) : out;
}

}  // namespace graft::worker::engine
