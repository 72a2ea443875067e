#include "worker/agent/convert.h"

#include <algorithm>

namespace graft::worker::agent {

graft::v1::ClassifyResponse::Prediction ToProto(const engine::Prediction& prediction,
                                                const std::vector<std::string>& label_names,
                                                bool with_logits) {
  graft::v1::ClassifyResponse::Prediction out;
  const auto best =
      std::max_element(prediction.probabilities.begin(), prediction.probabilities.end());
  out.set_label(label_names[static_cast<size_t>(best - prediction.probabilities.begin())]);
  out.set_probability(*best);
  for (size_t i = 0; i < label_names.size(); ++i) {
    auto* label = out.add_probabilities();
    label->set_label(label_names[i]);
    label->set_probability(prediction.probabilities[i]);
  }
  if (with_logits) out.mutable_logits()->Add(prediction.logits.begin(), prediction.logits.end());
  out.set_tokens(prediction.tokens);
  out.set_truncated(prediction.truncated);
  return out;
}

graft::v1::LabelFigures ToProto(const engine::LabelFigures& figures) {
  graft::v1::LabelFigures out;
  out.set_label(figures.label);
  out.set_examples(figures.examples);
  out.set_precision(figures.precision);
  out.set_recall(figures.recall);
  out.set_f1(figures.f1);
  return out;
}

}  // namespace graft::worker::agent
