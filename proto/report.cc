#include "proto/report.h"
#include "proto/error_info.h"

namespace graft::proto {
namespace {

constexpr size_t kMaxMetrics = 64;

}  // namespace

graft::v1::Progress ToProto(const report::Progress& progress) {
  graft::v1::Progress message;
  message.set_step(progress.step);
  message.set_total_steps(progress.total_steps);
  message.set_epoch(progress.epoch);
  message.set_loss(progress.loss);
  message.set_learning_rate(progress.learning_rate);
  message.set_grad_norm(progress.grad_norm);
  message.set_tokens_per_second(progress.tokens_per_second);
  message.set_eta_seconds(progress.eta_seconds);
  message.set_tokens(progress.tokens);
  return message;
}

graft::v1::Evaluation ToProto(const report::Evaluation& evaluation) {
  graft::v1::Evaluation message;
  message.set_step(evaluation.step);
  message.set_split(evaluation.split);
  message.set_examples(evaluation.examples);
  message.set_loss(evaluation.loss);
  for (const auto& [name, value] : evaluation.metrics) (*message.mutable_metrics())[name] = value;
  // The fields of clients that know no map.
  const auto known = [&](const char* name) {
    const auto metric = evaluation.metrics.find(name);
    return metric == evaluation.metrics.end() ? 0 : metric->second;
  };
  message.set_accuracy(known("accuracy"));
  message.set_macro_f1(known("macro_f1"));
  return message;
}

graft::v1::JobFacts ToProto(const report::JobFacts& facts) {
  graft::v1::JobFacts message;
  message.set_train_examples(facts.train_examples);
  message.set_validation_examples(facts.validation_examples);
  message.set_test_examples(facts.test_examples);
  message.set_train_tokens(facts.train_tokens);
  message.set_total_steps(facts.total_steps);
  message.set_trainable_parameters(facts.trainable_parameters);
  message.set_base_parameters(facts.base_parameters);
  message.set_artifact_bytes(facts.artifact_bytes);
  message.set_peak_memory_bytes(facts.peak_memory_bytes);
  message.set_seconds(facts.seconds);
  message.set_labels(facts.labels);
  message.set_truncated_examples(facts.truncated_examples);
  message.set_loss_tokens(facts.loss_tokens);
  message.set_dropped_examples(facts.dropped_examples);
  return message;
}

graft::v1::Sample ToProto(const report::Sample& sample) {
  graft::v1::Sample message;
  message.set_step(sample.step);
  message.set_index(sample.index);
  message.set_prompt(CutText(sample.prompt, report::kMostSamplePromptBytes));
  message.set_text(CutText(sample.text, report::kMostSampleTextBytes));
  message.set_finish_reason(sample.finish_reason);
  message.set_tokens(sample.tokens);
  return message;
}

report::Progress FromProto(const graft::v1::Progress& message) {
  report::Progress progress;
  progress.step = message.step();
  progress.total_steps = message.total_steps();
  progress.epoch = message.epoch();
  progress.loss = message.loss();
  progress.learning_rate = message.learning_rate();
  progress.grad_norm = message.grad_norm();
  progress.tokens_per_second = message.tokens_per_second();
  progress.eta_seconds = message.eta_seconds();
  progress.tokens = message.tokens();
  return progress;
}

report::Evaluation FromProto(const graft::v1::Evaluation& message) {
  report::Evaluation evaluation;
  evaluation.step = message.step();
  evaluation.split = CutText(message.split(), 64);
  evaluation.examples = message.examples();
  evaluation.loss = message.loss();
  for (const auto& [name, value] : message.metrics()) {
    if (evaluation.metrics.size() < kMaxMetrics) evaluation.metrics[CutText(name, 64)] = value;
  }
  // A worker that knows no map has a classifier's fields.
  if (evaluation.metrics.empty() && (message.accuracy() != 0 || message.macro_f1() != 0))
    evaluation.metrics = {{"accuracy", message.accuracy()}, {"macro_f1", message.macro_f1()}};
  return evaluation;
}

report::JobFacts FromProto(const graft::v1::JobFacts& message) {
  report::JobFacts facts;
  facts.train_examples = message.train_examples();
  facts.validation_examples = message.validation_examples();
  facts.test_examples = message.test_examples();
  facts.train_tokens = message.train_tokens();
  facts.total_steps = message.total_steps();
  facts.trainable_parameters = message.trainable_parameters();
  facts.base_parameters = message.base_parameters();
  facts.artifact_bytes = message.artifact_bytes();
  facts.peak_memory_bytes = message.peak_memory_bytes();
  facts.seconds = message.seconds();
  facts.labels = message.labels();
  facts.truncated_examples = message.truncated_examples();
  facts.loss_tokens = message.loss_tokens();
  facts.dropped_examples = message.dropped_examples();
  return facts;
}

report::Sample FromProto(const graft::v1::Sample& message) {
  report::Sample sample;
  sample.step = message.step();
  sample.index = message.index();
  sample.prompt = CutText(message.prompt(), report::kMostSamplePromptBytes);
  sample.text = CutText(message.text(), report::kMostSampleTextBytes);
  sample.finish_reason = CutText(message.finish_reason(), 16);
  sample.tokens = message.tokens();
  return sample;
}

}  // namespace graft::proto
