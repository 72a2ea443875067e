#include "worker/engine/tasks/language_modeling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace graft::worker::engine {
namespace {

at::Tensor ToTensor(std::span<const int32_t> targets, at::Device device) {
  at::Tensor host = at::empty({static_cast<int64_t>(targets.size())}, at::kLong);
  std::copy(targets.begin(), targets.end(), host.mutable_data_ptr<int64_t>());
  return host.to(device);
}

/// A text's tokens; one that is longer than max_length is split, not cut.
class TextEncoder : public ExampleEncoder {
 public:
  explicit TextEncoder(const EncoderSetup& setup) : setup_(setup) {}

  Status Append(const datasets::Example& example, TokenizedSplit& split) override {
    const tokenizers::Encoding all =
        setup_.tokenizer.Encode(example.text, {.max_length = std::numeric_limits<int>::max()});
    const size_t most = static_cast<size_t>(setup_.max_length);
    for (size_t begin = 0; begin + 1 < all.ids.size(); begin += most) {
      const size_t end = std::min(begin + most, all.ids.size());
      tokenizers::Encoding part;
      part.ids.assign(all.ids.begin() + static_cast<ptrdiff_t>(begin),
                      all.ids.begin() + static_cast<ptrdiff_t>(end));
      part.type_ids.assign(part.ids.size(), 0);
      // A part's last token has the next part's first as its target.
      std::vector<int32_t> targets, positions;
      for (size_t i = begin; i < end && i + 1 < all.ids.size(); ++i) {
        targets.push_back(all.ids[i + 1]);
        positions.push_back(static_cast<int32_t>(i - begin));
      }
      split.Append(part, targets, positions);
    }
    return OkStatus();
  }

 private:
  const EncoderSetup setup_;
};

class TokenScorer : public Scorer {
 public:
  Status Add(const at::Tensor& outputs_RC, std::span<const int32_t> targets) override {
    const at::Tensor targets_R = ToTensor(targets, outputs_RC.device());
    const double loss =
        at::cross_entropy_loss(outputs_RC, targets_R, {}, at::Reduction::Sum).item<double>();
    if (!std::isfinite(loss)) {
      return FailedPreconditionError(
                 "the model's logits aren't finite; train with a lower learning rate")
          .At("hyperparameters.learning_rate", "NON_FINITE_LOSS");
    }
    loss_sum_ += loss;
    correct_ += (outputs_RC.argmax(1) == targets_R).sum().item<int64_t>();
    tokens_ += targets_R.numel();
    return OkStatus();
  }

  std::unique_ptr<Scorer> Clone() const override { return std::make_unique<TokenScorer>(*this); }

  void Result(Evaluation& evaluation) const override {
    const auto tokens = static_cast<double>(tokens_);
    evaluation.loss = loss_sum_ / tokens;
    evaluation.metrics["perplexity"] = std::exp(evaluation.loss);
    evaluation.metrics["token_accuracy"] = static_cast<double>(correct_) / tokens;
  }

 private:
  double loss_sum_ = 0;
  int64_t correct_ = 0, tokens_ = 0;
};

}  // namespace

std::unique_ptr<ExampleEncoder> LanguageModeling::NewEncoder(const EncoderSetup& setup) const {
  return std::make_unique<TextEncoder>(setup);
}

int64_t LanguageModeling::RowsAtOnce(int64_t width) const {
  return tasks::RowsAtOnce(spec().kind, width);
}

at::Tensor LanguageModeling::Loss(const at::Tensor& outputs_RC, const at::Tensor& targets_R) const {
  return at::cross_entropy_loss(outputs_RC, targets_R, {}, at::Reduction::Sum);
}

std::unique_ptr<Scorer> LanguageModeling::NewScorer() const {
  return std::make_unique<TokenScorer>();
}

}  // namespace graft::worker::engine
