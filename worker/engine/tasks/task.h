#pragma once
/// A task at work: what an example is to give, the loss over a model's outputs, and the figures of
/// an evaluation. The engine's half of common/tasks. Adding one: a pair like classification.{h,cc}
/// that derives from Task, and a line in tasks.cc.

#include <functional>
#include <limits>
#include <memory>
#include <span>

#include "common/datasets/dataset.h"
#include "common/language/encoder.h"
#include "common/tasks/task_spec.h"
#include "common/tokenizers/tokenizer.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/tasks/tokenized.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// What an encoder works with; all must outlive it.
struct EncoderSetup {
  const datasets::IngestedDataset& dataset;  ///< Numbers its own labels; targets have the task's.
  const tokenizers::Tokenizer& tokenizer;
  int max_length = 0;
  bool causal = false;  ///< Of the base: see families::Layout.
  /// Of a language model's conversations, whose variables are the task's.
  language::ChatOptions chat = {};
};

/// The token whose output a classifier reads of a text of `length` tokens.
inline int32_t PooledPosition(int64_t length, bool causal) {
  return causal ? static_cast<int32_t>(length - 1) : 0;
}

/// Turns a dataset's examples into tokens and targets. Borrows tokenizer and dataset. Thread
/// safety: confined to one thread.
class ExampleEncoder {
 public:
  virtual ~ExampleEncoder() = default;
  /// Appends an example to the split, with its targets; every example there has at least one. It
  /// may become several, or none if it has nothing to learn.
  /// Errors: InvalidArgument with the field's path and a reason if it can't give what the task asks
  /// for.
  virtual Status Append(const datasets::Example& example, TokenizedSplit& split) = 0;
};

/// Adds up what an evaluation's passes gave. Thread safety: confined to one thread.
class Scorer {
 public:
  virtual ~Scorer() = default;
  /// Adds rows with their targets; nothing if it fails or throws. Shapes: outputs [R, C] fp32 on
  /// any device; R targets. Errors: FailedPrecondition with reason NON_FINITE_LOSS if an output
  /// isn't finite.
  virtual Status Add(const at::Tensor& outputs_RC, std::span<const int32_t> targets) = 0;
  /// Sets loss, metrics and figures by label; the rest is the caller's. Requires: rows were added.
  virtual void Result(Evaluation& evaluation) const = 0;
  virtual std::unique_ptr<Scorer> Clone() const = 0;
};

/// Const; shared by jobs and versions.
class Task {
 public:
  explicit Task(tasks::TaskSpec spec) : spec_(std::move(spec)) {}
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// With its labels.
  const tasks::TaskSpec& spec() const { return spec_; }

  virtual std::unique_ptr<ExampleEncoder> NewEncoder(const EncoderSetup& setup) const = 0;
  /// Rows of outputs that are computed at once where each is `width` wide: loss and figures are
  /// sums over rows, and not all tasks' outputs fit in memory. One at least.
  virtual int64_t RowsAtOnce(int64_t /*width*/) const {
    return std::numeric_limits<int64_t>::max();
  }
  /// The loss summed over the rows; differentiable. Shapes: outputs [R, C] fp32, targets [R] int64
  /// on the same device.
  virtual at::Tensor Loss(const at::Tensor& outputs_RC, const at::Tensor& targets_R) const = 0;
  virtual std::unique_ptr<Scorer> NewScorer() const = 0;

 private:
  const tasks::TaskSpec spec_;
};

/// The task of a spec whose labels are known.
std::shared_ptr<const Task> MakeTask(tasks::TaskSpec spec);

/// Encodes every example; `between`, if set, is called before each, and ends the work with its
/// error: there may be millions, and a template may take long for one.
/// Errors: those of ExampleEncoder::Append and of `between`.
StatusOr<TokenizedSplit> Tokenize(const std::vector<datasets::Example>& examples,
                                  ExampleEncoder& encoder,
                                  const std::function<Status()>& between = {});

}  // namespace graft::worker::engine
