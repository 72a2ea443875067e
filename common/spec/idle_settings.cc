#include "common/spec/idle_settings.h"

#include <algorithm>
#include <cmath>

#include "common/base/utf8.h"
#include "common/families/language_head.h"
#include "common/methods/bottleneck.h"
#include "common/methods/lora.h"
#include "common/spec/default_learning_rate.h"

namespace graft::spec {
namespace {

/// Weights in fp32 have 24 bits: a smaller step leaves them as they are.
constexpr double kLeastLearningRate = 1e-9;

constexpr double kLongerThanEstimated = 3;
constexpr double kMostStepSeconds = 0.1;  ///< Beside a step's arithmetic.

std::string Text(double value) { return Json(value).dump(); }

std::string Steps(int64_t count) {
  return std::to_string(count) + (count == 1 ? " step" : " steps");
}

/// Collects the sentences about one job.
class Finder {
 public:
  Finder(const JobSpec& spec, const families::Layout& layout, const RunSize& run)
      : spec_(spec),
        hp_(spec.hyperparameters),
        layout_(layout),
        run_(run),
        steps_per_epoch_(
            std::max<int64_t>(1, (run.micro_batches + hp_.gradient_accumulation_steps - 1) /
                                     std::max(hp_.gradient_accumulation_steps, 1))) {}

  std::vector<std::string> Find() {
    LearningRate();
    Batches();
    Optimizer();
    Evaluations();
    Times();
    Lora();
    Bottleneck();
    return std::move(found_);
  }

 private:
  bool IsLanguage() const { return spec_.task.kind == tasks::Kind::kCausalLanguageModeling; }

  void Say(std::string sentence) { found_.push_back(std::move(sentence)); }

  void LearningRate() {
    const int64_t warmup = WarmupSteps(hp_, run_.total_steps);
    if (warmup >= run_.total_steps && warmup > 0) {
      const std::string set = hp_.warmup_steps > 0
                                  ? "warmup_steps is " + std::to_string(hp_.warmup_steps)
                                  : "warmup_ratio is " + Text(hp_.warmup_ratio);
      // The last step is number total - 1, and its factor is that over the warm-up.
      const double most =
          100.0 * static_cast<double>(run_.total_steps - 1) / static_cast<double>(warmup);
      Say(set + ", but the whole run has " + Steps(run_.total_steps) +
          (run_.total_steps == 1
               ? ", whose learning rate is 0 then: nothing is trained"
               : ": the learning rate never comes above " + Text(std::round(10 * most) / 10) +
                     " % of learning_rate, and lr_schedule "
                     "never begins") +
          "; warm up for fewer steps");
    }
    if (hp_.learning_rate <= kLeastLearningRate) {
      Say("learning_rate is " + Text(hp_.learning_rate) +
          ", so small that fp32 weights stay as they are; usual for " +
          (IsLanguage() ? "language models" : "this method") + " is " +
          Text(DefaultLearningRate(spec_.task, *spec_.method)));
    }
  }

  void Batches() {
    if (run_.total_steps < steps_per_epoch_) {
      const bool by_steps = hp_.max_steps > 0 && hp_.max_steps <= run_.total_steps;
      Say((by_steps ? "max_steps is " + std::to_string(hp_.max_steps)
                    : "epochs is " + Text(hp_.epochs) + ", which is " + Steps(run_.total_steps)) +
          ", but one epoch has " + Steps(steps_per_epoch_) +
          ": some training examples are never seen");
    }
    const int default_batch = Hyperparameters{}.batch_size;
    if (hp_.batch_tokens > 0 && hp_.batch_size != default_batch) {
      Say("batch_size is " + std::to_string(hp_.batch_size) +
          ", which has no effect beside batch_tokens; set one of them");
    }
    if (hp_.batch_tokens <= 0 && hp_.batch_size > run_.train_examples &&
        hp_.batch_size != default_batch) {
      Say("batch_size is " + std::to_string(hp_.batch_size) + ", more than the " +
          std::to_string(run_.train_examples) + " training examples: each batch holds them all");
    }
    if (hp_.batch_tokens > 0 && hp_.batch_tokens < run_.longest_tokens) {
      Say("batch_tokens is " + std::to_string(hp_.batch_tokens) +
          ", less than the longest training example has (" + std::to_string(run_.longest_tokens) +
          "): such an example is a larger batch of its own; lower max_length to bound it");
    }
    if (hp_.gradient_accumulation_steps > run_.micro_batches) {
      Say("gradient_accumulation_steps is " + std::to_string(hp_.gradient_accumulation_steps) +
          ", but an epoch has only " + std::to_string(run_.micro_batches) +
          (run_.micro_batches == 1 ? " batch" : " batches") +
          ", and steps end with it: no step takes more");
    }
  }

  void Optimizer() {
    const auto tensors = spec_.method->Tensors(layout_, spec_.task);
    const bool has_decayed = std::any_of(tensors.begin(), tensors.end(),
                                         [](const auto& t) { return t.trained && t.decay; });
    if (hp_.weight_decay > 0 && !has_decayed) {
      Say("weight_decay is " + Text(hp_.weight_decay) +
          ", which has no effect: only biases and norms are trained");
    }
    if (hp_.adam_epsilon >= 1e-2) {
      Say("adam_epsilon is " + Text(hp_.adam_epsilon) +
          ", larger than gradients usually are: it takes the place of adam_beta2's average and "
          "makes steps small; usual is 1e-8");
    }
    if (hp_.adam_epsilon < 1e-2 && hp_.max_grad_norm > 0 &&
        hp_.max_grad_norm <= 100 * hp_.adam_epsilon) {
      Say("max_grad_norm is " + Text(hp_.max_grad_norm) + ", about as small as adam_epsilon (" +
          Text(hp_.adam_epsilon) +
          "): clipped so, gradients hardly move a weight; 0 switches it "
          "off");
    }
    if (!hp_.exact) {
      Say("exact is false, which has no effect yet: passes always run alone, and the result is "
          "always reproducible");
    }
  }

  /// As TrainRun counts: whenever another part of an epoch is over, and at the end.
  int64_t CountEvaluations() const {
    const auto parts = [&](int64_t step) {
      const double epoch = static_cast<double>(step) / static_cast<double>(steps_per_epoch_);
      return std::floor(epoch * hp_.evaluations_per_epoch + 1e-9);
    };
    if (hp_.evaluations_per_epoch >= static_cast<double>(steps_per_epoch_)) return run_.total_steps;
    const auto count = static_cast<int64_t>(parts(run_.total_steps));
    const bool at_end = count > 0 && parts(run_.total_steps) > parts(run_.total_steps - 1);
    return count + (at_end ? 0 : 1);
  }

  void Evaluations() {
    if (hp_.keep_checkpoints > 1 && hp_.evaluations_per_epoch == 0) {
      Say("keep_checkpoints is " + std::to_string(hp_.keep_checkpoints) +
          ", but with evaluations_per_epoch 0 the run has one, at its end");
    }
    if (run_.validation_examples == 0) {
      if (hp_.evaluations_per_epoch != Hyperparameters{}.evaluations_per_epoch &&
          hp_.keep_checkpoints == 0) {
        Say("evaluations_per_epoch is " + Text(hp_.evaluations_per_epoch) +
            ", which has no effect without validation data: set dataset.validation or "
            "dataset.validation_fraction");
      }
      return;
    }
    if (hp_.evaluations_per_epoch > static_cast<double>(steps_per_epoch_)) {
      Say("evaluations_per_epoch is " + Text(hp_.evaluations_per_epoch) + ", but an epoch has " +
          Steps(steps_per_epoch_) + ", and each is evaluated once at most");
    }
    const int64_t evaluations = CountEvaluations();
    const int patience = hp_.early_stopping_patience;
    const std::string there_are = "the run has " + std::to_string(evaluations) +
                                  (evaluations == 1 ? " evaluation" : " evaluations");
    if (patience > 0 && patience + 1 >= evaluations) {
      Say("early_stopping_patience is " + std::to_string(patience) + ", but " + there_are +
          ": it can't stop the run early; train longer, evaluate more often or wait for fewer");
    }
    if (patience > 0 && !hp_.keep_best) {
      Say("keep_best is false with early_stopping_patience " + std::to_string(patience) +
          ": the run stops so many evaluations behind its best state, and keeps the last");
    }
    if (patience == 0 && hp_.keep_best && evaluations == 1) {
      Say("keep_best has no effect: " + there_are + ", at its end; raise evaluations_per_epoch");
    }
  }

  void Times() {
    const auto about = [&] { return "about " + Text(std::ceil(run_.seconds)) + " s"; };
    // The estimate knows a step's arithmetic, not what it costs besides.
    const double most_seconds = kLongerThanEstimated * run_.seconds +
                                kMostStepSeconds * static_cast<double>(run_.total_steps);
    if (hp_.max_run_seconds > 0 && run_.seconds > static_cast<double>(hp_.max_run_seconds)) {
      Say("max_run_seconds is " + std::to_string(hp_.max_run_seconds) + ", but the run takes " +
          about() + " by the estimate: it would fail before its end, and nothing be kept");
    }
    if (hp_.checkpoint_seconds == Hyperparameters{}.checkpoint_seconds) return;
    if (hp_.max_run_seconds > 0 && hp_.checkpoint_seconds >= hp_.max_run_seconds) {
      Say("checkpoint_seconds is " + std::to_string(hp_.checkpoint_seconds) +
          ", not less than max_run_seconds (" + std::to_string(hp_.max_run_seconds) +
          "): no checkpoint is written");
    } else if (run_.seconds > 0 && static_cast<double>(hp_.checkpoint_seconds) > most_seconds) {
      Say("checkpoint_seconds is " + std::to_string(hp_.checkpoint_seconds) +
          ", but the run takes " + about() +
          " by the estimate: no checkpoint is written, and a run that is cut off begins anew");
    }
  }

  void Lora() {
    const auto* lora = dynamic_cast<const methods::LoraSpec*>(spec_.method.get());
    if (lora == nullptr) return;
    for (const families::Linear& linear : layout_.linears) {
      const int64_t width = std::min(linear.in, linear.out), rank = lora->RankOf(linear.path);
      if (!lora->Targets(linear) || rank <= width) continue;
      Say((rank == lora->rank() ? "method.lora.rank is " : "method.lora.rank_pattern has ") +
          std::to_string(rank) + ", more than a layer's width of " + std::to_string(width) +
          ": what is beyond it adds parameters but nothing that can be learned");
      break;
    }
    if (!IsLanguage() && TrainsLanguageHead()) {
      Say(std::string("method.lora.modules_to_save names ") + families::kLanguageHead +
          ", which has no effect: a classifier doesn't compute the layer to the vocabulary");
    }
    if (lora->rslora() && lora->rank() == 1) {
      Say("method.lora.rslora has no effect at rank 1: alpha / sqrt(1) is alpha / 1");
    }
  }

  bool TrainsLanguageHead() const {
    const auto tensors = spec_.method->Tensors(layout_, spec_.task);
    return std::any_of(tensors.begin(), tensors.end(), [](const methods::TensorSpec& tensor) {
      return tensor.overrides_base &&
             tensor.name.starts_with(std::string(families::kLanguageHead) + ".");
    });
  }

  void Bottleneck() {
    const auto* bottleneck = dynamic_cast<const methods::BottleneckSpec*>(spec_.method.get());
    if (bottleneck == nullptr) return;
    if (IsLanguage()) HeadOfALanguageModel(*bottleneck);
    if (!IsLanguage() && bottleneck->freeze_head() && spec_.init_from.empty()) {
      Say("method.bottleneck.freeze_head leaves a new head at the random values that it starts "
          "from; it is for experiments");
    }
    if (bottleneck->scaling() == 0) {
      Say("method.bottleneck.scaling is 0: the adapters change nothing, and nothing of them is "
          "trained");
    }
    if (bottleneck->size() != methods::BottleneckSpec::kDefaultSize && SizeIsIdle(*bottleneck)) {
      Say("method.bottleneck.size is " + std::to_string(bottleneck->size()) +
          ", which has no effect: layer_sizes gives each layer its own");
    }
    if (!spec_.init_from.empty() && bottleneck->init_std() != 0.01) {
      Say("method.bottleneck.init_std is " + Text(bottleneck->init_std()) +
          ", which has no effect with init_from: the weights are those of " +
          Quoted(spec_.init_from));
    }
  }

  void HeadOfALanguageModel(const methods::BottleneckSpec& bottleneck) {
    const std::string none =
        ", which has no effect: a language model answers by its base's layer to the vocabulary, "
        "and "
        "has no head beside it";
    if (bottleneck.freeze_head()) Say("method.bottleneck.freeze_head is true" + none);
    const families::HeadForm form = bottleneck.head_form(layout_);
    if (form != families::HeadForm::Default(layout_))
      Say("method.bottleneck.head is " + Quoted(form.ToText()) + none);
  }

  bool SizeIsIdle(const methods::BottleneckSpec& bottleneck) const {
    for (int layer = 0; layer < layout_.num_layers; ++layer) {
      if (bottleneck.size(layer) == bottleneck.size()) return false;
    }
    return true;
  }

  const JobSpec& spec_;
  const Hyperparameters& hp_;
  const families::Layout& layout_;
  const RunSize& run_;
  const int64_t steps_per_epoch_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> FindIdleSettings(const JobSpec& spec, const families::Layout& layout,
                                          const RunSize& run) {
  return Finder(spec, layout, run).Find();
}

}  // namespace graft::spec
