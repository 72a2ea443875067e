#pragma once
/// config.json texts that the tests of families, methods and spec read, and short ways to read
/// them.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// The sizes of transformers' BertModel that tests/golden makes, with two layers.
inline Json TinyBertConfig() {
  return {{"model_type", "bert"},          {"vocab_size", 97},         {"hidden_size", 48},
          {"num_hidden_layers", 2},        {"num_attention_heads", 4}, {"intermediate_size", 80},
          {"max_position_embeddings", 40}, {"type_vocab_size", 2},     {"layer_norm_eps", 1e-12},
          {"hidden_act", "gelu"}};
}

inline Json TinyDistilBertConfig() {
  return {{"model_type", "distilbert"},
          {"vocab_size", 97},
          {"dim", 48},
          {"n_layers", 2},
          {"n_heads", 4},
          {"hidden_dim", 80},
          {"max_position_embeddings", 40},
          {"activation", "gelu"}};
}

/// nreimers/MiniLM-L6-H384-uncased.
inline Json MiniLmConfig() {
  return {
      {"model_type", "bert"},           {"vocab_size", 30522},       {"hidden_size", 384},
      {"num_hidden_layers", 6},         {"num_attention_heads", 12}, {"intermediate_size", 1536},
      {"max_position_embeddings", 512}, {"type_vocab_size", 2}};
}

inline Json BertBaseConfig() {
  Json config = MiniLmConfig();
  config["hidden_size"] = 768;
  config["num_hidden_layers"] = 12;
  config["intermediate_size"] = 3072;
  return config;
}

inline Json DistilBertBaseConfig() {
  return {{"model_type", "distilbert"},
          {"vocab_size", 30522},
          {"dim", 768},
          {"n_layers", 6},
          {"n_heads", 12},
          {"hidden_dim", 3072}};
}

/// A decoder whose head is its embeddings, or has a tensor of its own.
inline Json TinyLlamaConfig(bool tied) {
  return {{"model_type", "llama"},      {"hidden_size", 16},
          {"num_hidden_layers", 2},     {"num_attention_heads", 4},
          {"num_key_value_heads", 2},   {"intermediate_size", 24},
          {"vocab_size", 40},           {"max_position_embeddings", 4096},
          {"tie_word_embeddings", tied}};
}

inline std::vector<std::string> BertPooler() {
  return {"bert.pooler.dense.weight", "bert.pooler.dense.bias"};
}

/// The layout of a checkpoint with a pooler where the family has one. Fails the test and returns an
/// empty layout if the config is refused.
inline Layout MustRead(const Json& config,
                       const std::vector<std::string>& checkpoint_tensors = BertPooler()) {
  auto layout = ReadLayout(config.dump(), checkpoint_tensors);
  EXPECT_TRUE(layout.ok()) << layout.status();
  return layout.ok() ? *std::move(layout) : Layout{};
}

inline Status Refusal(const Json& config) { return ReadLayout(config.dump(), {}).status(); }

/// The config with one field replaced.
inline Json With(Json config, const std::string& field, Json value) {
  config[field] = std::move(value);
  return config;
}

inline Json Without(Json config, const std::string& field) {
  config.erase(field);
  return config;
}

}  // namespace graft::families
