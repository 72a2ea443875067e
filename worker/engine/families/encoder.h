#pragma once
/// The post-norm encoder that BERT and DistilBERT share; they differ in names and token types only.
/// Source: arXiv:1810.04805, arXiv:1910.01108; transformers' modeling_bert.py and
/// modeling_distilbert.py.

#include <string>
#include <vector>

#include "worker/engine/families/model.h"

namespace graft::worker::engine {

class EncoderModel : public Model {
 public:
  explicit EncoderModel(const families::Layout& layout);

  at::Tensor Embed(const Pass& pass) const override;
  at::Tensor Layer(int64_t layer, const at::Tensor& hidden, const Pass& pass,
                   bool pooled) const override;
  int64_t num_layers() const override { return layout_.num_layers; }

 private:
  struct LayerParts {
    std::vector<std::string> qkv_weight, qkv_bias;  ///< query, key, value
    std::string attention_output, attention_norm, up, down, output_norm;
    LinearSite qkv, query, key_value, attention_output_site, up_site, down_site;
    size_t attention_sublayer = 0, output_sublayer = 0;
  };

  families::Layout layout_;
  std::vector<LayerParts> layers_;
};

}  // namespace graft::worker::engine
