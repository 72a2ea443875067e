#pragma once
/// An AdapterHub folder for the tiny BERT, in pieces that tests change.

#include <string>
#include <utility>

#include "tests/common/methods/support.h"

namespace graft::methods {

/// As adapters 1.3 writes a Houlsby adapter on the tiny BERT.
inline Json HubConfig() {
  return Json::parse(R"({
    "config": {"adapter_residual_before_ln": false, "cross_adapter": false, "dropout": 0.25,
      "factorized_phm_W": true, "factorized_phm_rule": false,
      "hypercomplex_nonlinearity": "glorot-uniform", "init_weights": "bert",
      "init_weights_seed": null, "inv_adapter": null, "inv_adapter_reduction_factor": null,
      "is_parallel": false, "learn_phm": true, "leave_out": [], "ln_after": false,
      "ln_before": false, "mh_adapter": true, "non_linearity": "swish", "original_ln_after": true,
      "original_ln_before": false, "output_adapter": true, "phm_bias": true, "phm_c_init": "normal",
      "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": false, "phm_rank": 1,
      "reduction_factor": 8.0, "residual_before_ln": true, "scaling": 1.0, "shared_W_phm": false,
      "shared_phm_rule": true, "stochastic_depth": 0.0, "use_gating": false},
    "hidden_size": 48, "model_class": "BertAdapterModel", "model_name": "", "model_type": "bert",
    "name": "oracle", "version": "adapters.1.3.0"})");
}

inline Json HubHead() {
  return Json::parse(R"({
    "config": {"activation_function": "tanh", "bias": true, "dropout_prob": null,
      "head_type": "classification", "label2id": {"yes": 1, "no": 0}, "layers": 1,
      "num_labels": 2, "use_pooler": true},
    "hidden_size": 48, "model_class": "BertAdapterModel", "model_name": "", "model_type": "bert",
    "name": "oracle", "version": "adapters.1.3.0"})");
}

inline Shapes HubShapes() {
  return {{"bert.encoder.layer.0.output.adapters.oracle.adapter_down.0.weight", {6, 48}},
          {"bert.encoder.layer.1.attention.output.adapters.oracle.adapter_up.bias", {48}},
          {"heads.oracle.1.weight", {2, 48}},
          {"heads.oracle.1.bias", {2}}};
}

inline StatusOr<ImportedMethod> ImportHub(const Json& config, const Json& head = HubHead(),
                                          const Shapes& shapes = HubShapes()) {
  return ImportMethod({{"adapter_config.json", config.dump()}, {"head_config.json", head.dump()}},
                      shapes, TinyBert());
}

inline Json HubWith(const char* field, Json value) {
  Json config = HubConfig();
  config["config"][field] = std::move(value);
  return config;
}

inline Json HeadWith(const char* field, Json value) {
  Json head = HubHead();
  head["config"][field] = std::move(value);
  return head;
}

}  // namespace graft::methods
