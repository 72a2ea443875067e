#pragma once
/// A base model small enough to make on the spot: BERT with two layers of eight, random weights, a
/// vocabulary of words.

#include <cstdint>
#include <filesystem>
#include <string>

namespace graft::server {

inline constexpr const char* kTinyConfig = R"({
  "model_type": "bert", "architectures": ["BertModel"], "vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 2,
  "num_attention_heads": 2, "intermediate_size": 16, "hidden_act": "gelu", "max_position_embeddings": 64,
  "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
  "position_embedding_type": "absolute", "pad_token_id": 0
})";

/// Writes the folder `bases`/`id`.
void MakeTinyBase(const std::filesystem::path& bases, const std::string& id, uint64_t seed = 1);

}  // namespace graft::server
