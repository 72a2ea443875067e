#pragma once
/// What a base model is, without its weights: sizes, sites and tensor names, read from a
/// HuggingFace config.json. The server plans and checks with it; the engine builds the model from
/// it. Adding a family: a pair like bert.{h,cc} beside this file, and a line in families.cc.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"

namespace graft::families {

/// The least max_length, in tokens: a pair has three special ones, and a text needs room.
inline constexpr int kLeastMaxLength = 4;

/// In place of a transformer layer: the embeddings, and what follows the last layer.
inline constexpr int kBelowLayers = -1;
inline constexpr int kAboveLayers = std::numeric_limits<int>::max();

/// What a linear layer is to its transformer layer.
/// kGate: the feed-forward's other projection of a gated family, down(act(gate x) * up x).
enum class LinearRole { kQuery, kKey, kValue, kAttentionOutput, kGate, kUp, kDown };

/// A linear layer that methods may wrap.
struct Linear {
  std::string path;          ///< HF module path, "bert.encoder.layer.0.attention.self.query".
  int64_t in = 0;            ///< Input width.
  int64_t out = 0;           ///< Output width.
  int layer = kAboveLayers;  ///< A transformer layer, or kAboveLayers.
  LinearRole role = LinearRole::kQuery;
  bool bias = true;
};

enum class SublayerKind { kAttention, kFeedForward };

/// A residual sublayer and its norm: norm(x_in + d), or in a pre-norm family x_in + d where d is
/// computed from norm(x_in).
struct Sublayer {
  SublayerKind kind;
  int layer = 0;
  std::string norm;  ///< HF module path, "bert.encoder.layer.0.output.LayerNorm".
  /// What AdapterHub puts its bottleneck's names under,
  /// "bert.encoder.layer.0.attention.output.adapters".
  std::string hub_path;
};

/// One linear layer of the classification head, in forward order.
struct HeadLinear {
  std::string path;  ///< "bert.pooler.dense", "classifier"
  int64_t in = 0;
  int64_t out = 0;         ///< 0: the number of labels.
  std::string activation;  ///< Applied behind it: "tanh", "relu", or empty.
  bool in_base = false;  ///< The base has it (frozen unless the method says otherwise); else it is
                         ///< new and always trained.
  bool bias = true;      ///< False: a product alone.
  /// Its product runs in the pass's compute type: it is too wide to be kept in fp32 beside.
  bool narrow = false;
  std::string peft_module = {};  ///< What PEFT saves whole for it; empty: the path's last name.
};

/// Weight decay applies to matrices only, as in transformers' Trainer.
enum class TensorRole { kMatrix, kBias, kNorm /* weight or bias of one */ };

/// A tensor that the base must have.
struct TensorShape {
  std::string name;  ///< HF state-dict name with the family's prefix.
  std::vector<int64_t> shape;
  int layer = kBelowLayers;  ///< A transformer layer, kBelowLayers or kAboveLayers.
  TensorRole role = TensorRole::kMatrix;
};

/// HF module paths of what makes the first hidden state; empty: the family has none.
struct Embeddings {
  std::string words, positions, token_types, norm;
};

/// Rotary position embeddings over the two halves of a head (arXiv:2104.09864), as transformers'
/// modeling_rope_utils.py computes them.
struct Rope {
  std::vector<float> inverse_frequencies;  ///< [head_dim / 2]
  double scale = 1;                        ///< Of cosines and sines; yarn's attention factor.
  bool operator==(const Rope&) const = default;
};

struct Layout {
  std::string family;  ///< "bert"
  std::string prefix;  ///< "bert." : checkpoints may carry it or not.
  int64_t hidden = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;  ///< A divisor of num_heads.
  int64_t head_dim = 0;
  int64_t intermediate = 0;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;    ///< Longest sequence in tokens.
  int64_t type_vocab_size = 0;  ///< 0: no token types.
  double norm_eps = 1e-12;
  /// True: a decoder, whose tokens see those in front of them, with RMS norms in front of sublayers
  /// and rotary positions; its classifiers read a text's last token, an encoder's the first.
  bool causal = false;
  Rope rope;
  std::vector<int64_t> windows;  ///< By layer, in tokens; 0: none. Empty: none anywhere.
  bool head_norms = false;       ///< Queries and keys are normed head by head (q_norm, k_norm).
  std::string final_norm;        ///< HF module path behind the last layer; empty: none.
  std::string activation;        ///< Of the feed-forward: "gelu" (erf), "gelu_new", "relu", "silu".
  std::vector<Linear> linears;
  std::vector<Sublayer> sublayers;
  Embeddings embeddings;
  std::vector<HeadLinear> head;  ///< For sequence classification.
  /// For language modelling: one layer to the vocabulary's logits; empty if the base has none.
  std::vector<HeadLinear> language_head;
  std::vector<TensorShape> tensors;
  /// Default of LoRA's target_modules, as PEFT's where it has one.
  std::vector<std::string> default_lora_targets;
  /// How transformers' and AdapterHub's class names begin: "Bert" of BertForSequenceClassification
  /// and BertAdapterModel.
  std::string model_class;
  /// The part of config.json that the forward depends on, canonical (sorted keys): enters the
  /// base's fingerprint.
  Json fingerprint_config;
  /// A decoder's bos_token_id, eos_token_id and pad_token_id, those that config.json states, as it
  /// states them: a number, a list of them or null. The forward doesn't depend on them.
  Json token_ids;

  int64_t ParameterCount() const;  ///< Of `tensors`.
  /// Indices into `linears` and `sublayers`. Requires: the layer has one.
  size_t LinearAt(int64_t layer, LinearRole role) const;
  bool gated() const;  ///< Its feed-forwards have a kGate.
  size_t SublayerAt(int64_t layer, SublayerKind kind) const;
  /// Distinct names of the linear layers within a transformer layer ("attention.self.query"),
  /// sorted: what target_modules may name, in full or by their ends ("query").
  std::vector<std::string> LinearNames() const;
};

/// "bert.encoder.layer.0.attention.self.query" -> "attention.self.query".
std::string RelativeName(const Linear& linear);

/// Reads a config.json's text. `has_tensor` tells which optional tensors (a pooler) the checkpoint
/// carries.
/// Errors: Unimplemented if the family or one of its options isn't built (names it and lists what
/// is); InvalidArgument if a field is missing, of a wrong type or out of range.
StatusOr<Layout> ReadLayout(std::string_view config_json,
                            const std::vector<std::string>& checkpoint_tensors);

/// config.json's fields of which transformers 4 and 5 make this model; ReadLayout gives the
/// layout's fingerprint_config of them again. Of a decoder that isn't fingerprint_config itself,
/// which holds each layer's window and transformers 5's rope.
Json ModelConfig(const Layout& layout);

/// Names of the families there are.
std::vector<std::string> FamilyNames();

}  // namespace graft::families
