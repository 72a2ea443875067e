#pragma once
/// A job's specification: what the client asked for, checked and resolved. Its JSON form (field
/// names as in graft.v1.JobSpec) is what the store keeps, what a worker is sent and what graft.json
/// records; the RPC layer turns protobuf into that JSON and back, so a new field is written down
/// once here and once in the proto.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/methods/method_spec.h"
#include "common/tasks/task_spec.h"

namespace graft::spec {

enum class LrSchedule { kLinear, kCosine, kConstant };
enum class Precision { kAuto, kFp32, kBf16 };

struct DatasetSpec {
  std::string train;
  std::string validation;
  std::string test;
  double validation_fraction = 0;
  double test_fraction = 0;
  std::vector<std::string>
      text_columns;          ///< 1 or 2; of a language model's data 1, or 0: not asked.
  std::string label_column;  ///< Empty for language models.
  std::string format;        ///< "", "csv", "tsv", "jsonl"
  bool has_header = true;
  int64_t max_examples = 0;
  /// Of language models; empty: not asked.
  std::string prompt_column, completion_column, messages_column, tools_column;

  /// True if a column is named that only language models' data has.
  bool names_language_column() const {
    return !(prompt_column.empty() && completion_column.empty() && messages_column.empty() &&
             tools_column.empty());
  }
};

struct Hyperparameters {
  double epochs = 3;  ///< Ignored if max_steps > 0.
  int64_t max_steps = 0;
  int batch_size = 16;  ///< Examples a micro-batch; ignored if batch_tokens > 0.
  int64_t batch_tokens = 0;
  int gradient_accumulation_steps = 1;
  double learning_rate = 0;
  LrSchedule lr_schedule = LrSchedule::kLinear;
  int64_t warmup_steps = 0;
  double warmup_ratio = 0;  ///< Ignored if warmup_steps > 0.
  double weight_decay = 0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;  ///< 0: off.
  uint64_t seed = 42;
  int max_length = 512;
  double evaluations_per_epoch = 1;
  int early_stopping_patience = 0;
  bool keep_best = false;
  Precision precision = Precision::kAuto;
  bool exact = true;
  int keep_checkpoints = 0;  ///< The last so many become versions.
  int64_t checkpoint_seconds = 30;
  int64_t max_run_seconds = 0;
};

struct JobSpec {
  std::string base;
  std::string adapter;
  std::string init_from;
  tasks::TaskSpec task;
  std::shared_ptr<const methods::MethodSpec> method;
  DatasetSpec dataset;
  Hyperparameters hyperparameters;
  int priority = 0;
  std::map<std::string, std::string> labels;
  bool promote = false;
  std::string description;

  /// Resolved form; FromJson(ToJson()) is equal to it.
  Json ToJson() const;
};

/// Reads the JSON form of graft.v1.JobSpec (proto field names; 64-bit integers as numbers or
/// strings; enums by name). Absent fields take their defaults; checks everything that needs no
/// base.
/// Errors: InvalidArgument with the field path of the first fault, including an unknown field.
StatusOr<JobSpec> FromJson(const Json& json);

/// Reads a graft.v1.DatasetSpec alone, for CheckDataset and EvaluateVersion; its columns are those
/// of a task of this kind.
StatusOr<DatasetSpec> DatasetFromJson(const Json& json, tasks::Kind kind = tasks::kDefaultKind);

/// Errors: InvalidArgument at "task.causal_lm" with reason NO_LANGUAGE_HEAD if the task needs a
/// language head and the base has none.
Status CheckHasHead(const std::string& base, tasks::Kind kind, const families::Layout& layout);

/// Checks against a base and fills in what depends on it: the method's targets, learning rate,
/// max_length.
StatusOr<JobSpec> Resolve(JobSpec spec, const families::Layout& layout);

/// What max_length is where a job of this kind doesn't say.
int DefaultMaxLength(tasks::Kind kind, const families::Layout& layout);

/// Optimizer steps of a run, as transformers counts them: ceil(epochs * ceil(micro_batches /
/// accumulation)).
int64_t TotalSteps(const Hyperparameters& hyperparameters, int64_t micro_batches_per_epoch);

/// Steps of warm-up in a run of so many: warmup_steps, or warmup_ratio's part of all, rounded up.
int64_t WarmupSteps(const Hyperparameters& hyperparameters, int64_t total_steps);

/// The learning rate's factor at optimizer step `step` (the first update is step 0, so its factor
/// is 0 under warm-up). Source: transformers' get_{linear,cosine,constant}_schedule_with_warmup.
double LrFactor(const Hyperparameters& hyperparameters, int64_t step, int64_t total_steps);

}  // namespace graft::spec
