#pragma once
/// The layout that llama, mistral, qwen2 and qwen3 share: causal layers with RMS norms in front,
/// grouped-query attention over rotary positions, and a gated feed-forward. They differ in biases,
/// windows and norms of heads. Source: transformers' modeling_llama.py and its like.

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// What a family says beside the fields that all have.
struct DecoderOptions {
  std::string family;       ///< "llama"
  std::string model_class;  ///< "Llama"
  bool qkv_bias = false;
  bool output_bias = false;  ///< Of attention's output projection.
  bool mlp_bias = false;
  bool head_norms = false;
  /// Absent num_key_value_heads and head_dim; 0: as many as heads, and hidden_size / heads.
  int64_t default_kv_heads = 0, default_head_dim = 0;
  std::vector<int64_t> windows = {};  ///< See Layout::windows.
};

/// Number of layers, to read what is written by layer. InvalidArgument if it is missing.
StatusOr<int64_t> ReadNumLayers(const Json& config);

/// The window of each layer, from `sliding_window` and `layer_types`, where transformers 5 writes
/// both; `slides` says whether a layer slides that layer_types doesn't tell.
/// Errors: InvalidArgument or Unimplemented if a field is wrong or of a kind that isn't built.
StatusOr<std::vector<int64_t>> ReadWindows(const Json& config, int64_t num_layers, bool used,
                                           const std::vector<bool>& slides);

/// The same as qwen's configurations have it: layers from max_window_layers on slide, if
/// use_sliding_window is true.
StatusOr<std::vector<int64_t>> ReadQwenWindows(const Json& config);

/// See ReadLayout.
StatusOr<Layout> ReadDecoderLayout(const Json& config,
                                   const std::vector<std::string>& checkpoint_tensors,
                                   const DecoderOptions& options);

}  // namespace graft::families
