#include "worker/engine/tasks/language_modeling.h"

#include <cmath>
#include <utility>
#include <vector>

#include "worker/engine/device/host_values.h"

namespace graft::worker::engine {
namespace {

/// Appends what language::Encoder makes of examples.
class SequenceEncoder : public ExampleEncoder {
 public:
  SequenceEncoder(const tasks::LanguageTraining& training, const EncoderSetup& setup) {
    language::EncoderOptions options;
    options.shape = setup.dataset.shape;
    options.loss_on = training.loss_on;
    options.max_length = setup.max_length;
    options.chat = setup.chat;
    options.chat.variables = training.chat_template_variables;
    auto made = language::Encoder::Create(setup.tokenizer, std::move(options));
    made_ = made.status();
    if (made.ok()) encoder_ = *std::move(made);
  }

  Status Append(const datasets::Example& example, TokenizedSplit& split) override {
    GRAFT_RETURN_IF_ERROR(made_);
    GRAFT_ASSIGN_OR_RETURN(const language::Encoded encoded, encoder_->Encode(example));
    split.num_truncated += encoded.is_too_long ? 1 : 0;
    split.num_dropped += encoded.parts.empty() ? 1 : 0;
    for (const language::Part& part : encoded.parts) {
      tokenizers::Encoding encoding;
      encoding.ids = part.ids;
      encoding.type_ids.assign(part.ids.size(), 0);
      split.Append(encoding, part.targets, part.positions);
    }
    return OkStatus();
  }

 private:
  Status made_;
  std::unique_ptr<const language::Encoder> encoder_;
};

class TokenScorer : public Scorer {
 public:
  Status Add(const at::Tensor& outputs_RC, std::span<const int32_t> targets) override {
    const at::Tensor targets_R = ToDevice<int64_t>(targets, outputs_RC.device());
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
  return std::make_unique<SequenceEncoder>(spec().language, setup);
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
