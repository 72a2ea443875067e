#pragma once
/// The pre-norm decoder that llama, mistral, qwen2 and qwen3 share; what they differ in stands in
/// the layout. Source: arXiv:2302.13971; transformers' modeling_llama.py, modeling_mistral.py,
/// modeling_qwen2.py and modeling_qwen3.py.

#include <optional>
#include <string>
#include <vector>

#include "worker/engine/model/base.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine {

class DecoderModel : public Model {
 public:
  /// Keeps the base's tensors, not the base.
  explicit DecoderModel(const Base& base);

  at::Tensor Embed(const Pass& pass) const override;
  at::Tensor Layer(int64_t layer, const at::Tensor& hidden, const Pass& pass,
                   const RowSet& rows) const override;
  int64_t num_layers() const override { return static_cast<int64_t>(layers_.size()); }

 private:
  struct LayerParts {
    LinearSite qkv, query, key_value, attention_output, gate_up, down;
    Weight attention_norm, feed_forward_norm;
    std::optional<Weight> query_norm, key_norm;
    AttentionShape attention;
    size_t attention_sublayer = 0, feed_forward_sublayer = 0;
  };

  /// Attention's rows in front of its output projection.
  at::Tensor Attended(int64_t index, const at::Tensor& normed, const Pass& pass,
                      const RowSet& rows) const;
  /// The feed-forward's rows in front of its second projection.
  at::Tensor FeedForward(const LayerParts& layer, const at::Tensor& normed, const Pass& pass,
                         const RowSet& rows) const;
  /// Norms the heads [first, first + heads) of x, if the family does. Shapes: x [R, any heads].
  at::Tensor NormHeads(const at::Tensor& x, int64_t first, int64_t heads,
                       const std::optional<Weight>& norm, const Pass& pass) const;

  families::Rope rope_;
  double norm_eps_;
  std::string activation_;
  Weight words_, final_norm_;
  std::vector<LayerParts> layers_;
};

}  // namespace graft::worker::engine
