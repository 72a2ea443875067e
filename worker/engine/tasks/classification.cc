#include "worker/engine/tasks/classification.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "common/base/utf8.h"

namespace graft::worker::engine {
namespace {

double Ratio(int64_t a, int64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

class LabelEncoder : public ExampleEncoder {
 public:
  LabelEncoder(const tasks::TaskSpec& task, const EncoderSetup& setup) : setup_(setup) {
    std::map<std::string, int32_t> numbers;
    for (const std::string& name : task.label_names)
      numbers.emplace(name, static_cast<int32_t>(numbers.size()));
    for (const std::string& name : setup_.dataset.label_names) {
      const auto number = numbers.find(name);
      numbers_.push_back(number == numbers.end() ? -1 : number->second);
    }
  }

  Status Append(const datasets::Example& example, TokenizedSplit& split) override {
    const auto refuse = [](const std::string& message, const char* reason) {
      return InvalidArgumentError(message).At("dataset.label_column", reason);
    };
    if (example.label < 0) {
      return refuse(
          "the dataset has examples without a label; training and evaluation need one for each",
          "LABEL_MISSING");
    }
    const auto label = static_cast<size_t>(example.label);
    if (numbers_.at(label) < 0) {
      return refuse("the data has the label " + Quoted(setup_.dataset.label_names[label]) +
                        ", which the adapter doesn't know",
                    "UNKNOWN_LABEL");
    }
    const tokenizers::EncodeOptions options{.max_length = setup_.max_length};
    const tokenizers::Encoding encoding =
        setup_.dataset.has_pair
            ? setup_.tokenizer.EncodePair(example.text, example.text_pair, options)
            : setup_.tokenizer.Encode(example.text, options);
    const int32_t position =
        PooledPosition(static_cast<int64_t>(encoding.ids.size()), setup_.causal);
    split.Append(encoding, {&numbers_[label], 1}, {&position, 1});
    return OkStatus();
  }

 private:
  const EncoderSetup setup_;
  std::vector<int32_t> numbers_;  ///< The task's, by the dataset's; -1: it has none.
};

class LabelScorer : public Scorer {
 public:
  explicit LabelScorer(std::vector<std::string> label_names)
      : label_names_(std::move(label_names)), counts_(label_names_.size()) {}

  Status Add(const at::Tensor& outputs_RC, std::span<const int32_t> targets) override {
    const at::Tensor log_p = at::log_softmax(outputs_RC, 1).cpu();
    if (!at::isfinite(log_p).all().item<bool>()) {
      return FailedPreconditionError(
                 "the adapter's logits aren't finite; train with a lower learning rate")
          .At("hyperparameters.learning_rate", "NON_FINITE_LOSS");
    }
    const auto values = log_p.accessor<float, 2>();
    for (int64_t i = 0; i < log_p.size(0); ++i) {
      const int32_t truth = targets[static_cast<size_t>(i)];
      int64_t best = 0;
      for (int64_t c = 1; c < log_p.size(1); ++c) {
        if (values[i][c] > values[i][best]) best = c;
      }
      loss_sum_ -= values[i][truth];
      correct_ += best == truth ? 1 : 0;
      ++counts_[static_cast<size_t>(truth)].truth;
      ++counts_[static_cast<size_t>(best)].predicted;
      counts_[static_cast<size_t>(truth)].both += best == truth ? 1 : 0;
    }
    examples_ += log_p.size(0);
    return OkStatus();
  }

  std::unique_ptr<Scorer> Clone() const override { return std::make_unique<LabelScorer>(*this); }

  void Result(Evaluation& evaluation) const override {
    evaluation.loss = loss_sum_ / static_cast<double>(examples_);
    double f1_sum = 0;
    int64_t labels_seen = 0;
    for (size_t c = 0; c < counts_.size(); ++c) {
      const Counts& count = counts_[c];
      const double precision = Ratio(count.both, count.predicted);
      const double recall = Ratio(count.both, count.truth);
      const double f1 = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
      evaluation.labels.push_back({label_names_[c], count.truth, precision, recall, f1});
      // As scikit-learn: a label neither there nor predicted doesn't count.
      if (count.truth + count.predicted == 0) continue;
      f1_sum += f1;
      ++labels_seen;
    }
    evaluation.metrics["accuracy"] = Ratio(correct_, examples_);
    evaluation.metrics["macro_f1"] =
        labels_seen > 0 ? f1_sum / static_cast<double>(labels_seen) : 0;
  }

 private:
  struct Counts {
    int64_t truth = 0, predicted = 0, both = 0;
  };

  const std::vector<std::string> label_names_;
  std::vector<Counts> counts_;  ///< By label.
  double loss_sum_ = 0;
  int64_t correct_ = 0, examples_ = 0;
};

}  // namespace

std::unique_ptr<ExampleEncoder> Classification::NewEncoder(const EncoderSetup& setup) const {
  return std::make_unique<LabelEncoder>(spec(), setup);
}

at::Tensor Classification::Loss(const at::Tensor& outputs_RC, const at::Tensor& targets_R) const {
  return at::cross_entropy_loss(outputs_RC, targets_R, {}, at::Reduction::Sum);
}

std::unique_ptr<Scorer> Classification::NewScorer() const {
  return std::make_unique<LabelScorer>(spec().label_names);
}

std::vector<float> Probabilities(const std::vector<float>& logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  std::vector<float> p(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) sum += p[i] = std::exp(logits[i] - largest);
  for (float& value : p) value = static_cast<float>(value / sum);
  return p;
}

}  // namespace graft::worker::engine
