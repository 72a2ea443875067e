#include "worker/agent/convert.h"

#include <algorithm>

namespace graft::worker::agent {

graft::v1::Progress ToProto(const engine::Progress& progress) {
  graft::v1::Progress out;
  out.set_step(progress.step);
  out.set_total_steps(progress.total_steps);
  out.set_epoch(progress.epoch);
  out.set_loss(progress.loss);
  out.set_learning_rate(progress.learning_rate);
  out.set_grad_norm(progress.grad_norm);
  out.set_tokens_per_second(progress.tokens_per_second);
  out.set_eta_seconds(progress.eta_seconds);
  out.set_tokens(progress.tokens);
  return out;
}

graft::v1::Evaluation ToProto(const engine::Evaluation& evaluation) {
  graft::v1::Evaluation out;
  out.set_step(evaluation.step);
  out.set_split(evaluation.split);
  out.set_examples(evaluation.examples);
  out.set_loss(evaluation.loss);
  out.set_accuracy(evaluation.accuracy);
  out.set_macro_f1(evaluation.macro_f1);
  return out;
}

graft::v1::JobFacts ToProto(const engine::TrainFacts& facts) {
  graft::v1::JobFacts out;
  out.set_train_examples(facts.train_examples);
  out.set_validation_examples(facts.validation_examples);
  out.set_test_examples(facts.test_examples);
  out.set_train_tokens(facts.train_tokens);
  out.set_total_steps(facts.total_steps);
  out.set_trainable_parameters(facts.trainable_parameters);
  out.set_base_parameters(facts.base_parameters);
  out.set_artifact_bytes(facts.artifact_bytes);
  out.set_peak_memory_bytes(facts.peak_memory_bytes);
  out.set_seconds(facts.seconds);
  out.set_labels(facts.labels);
  out.set_truncated_examples(facts.truncated_examples);
  return out;
}

graft::v1::ClassifyResponse::Prediction ToProto(const engine::Prediction& prediction,
                                                const std::vector<std::string>& label_names, bool with_logits) {
  graft::v1::ClassifyResponse::Prediction out;
  const auto best = std::max_element(prediction.probabilities.begin(), prediction.probabilities.end());
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
