#pragma once
/// The post-norm encoder that BERT and DistilBERT share; they differ in names and token types only.
/// Source: arXiv:1810.04805, arXiv:1910.01108; transformers' modeling_bert.py and
/// modeling_distilbert.py.

#include <optional>
#include <string>
#include <vector>

#include "worker/engine/model/base.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine {

class EncoderModel : public Model {
 public:
  /// Keeps the base's tensors, not the base.
  explicit EncoderModel(const Base& base);

  at::Tensor Embed(const Pass& pass) const override;
  at::Tensor Layer(int64_t layer, const at::Tensor& hidden, const Pass& pass,
                   const RowSet& rows) const override;
  int64_t num_layers() const override { return static_cast<int64_t>(layers_.size()); }

 private:
  struct NormParts {
    Weight weight, bias;
  };
  struct LayerParts {
    LinearSite qkv, query, key_value, attention_output, up, down;
    NormParts attention_norm, output_norm;
    size_t attention_sublayer = 0, output_sublayer = 0;
  };

  at::Tensor Normalise(const NormParts& norm, const at::Tensor& x, const Pass& pass) const;

  AttentionShape attention_;
  double norm_eps_;
  std::string activation_;
  Weight words_, positions_;
  std::optional<Weight> token_types_;
  NormParts embeddings_norm_;
  std::vector<LayerParts> layers_;
};

}  // namespace graft::worker::engine
