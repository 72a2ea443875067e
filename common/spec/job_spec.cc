#include "common/spec/job_spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>

#include "common/base/fields.h"
#include "common/base/ids.h"
#include "common/base/utf8.h"
#include "common/spec/default_learning_rate.h"

namespace graft::spec {
namespace {

const std::vector<std::string> kSchedules = {"LINEAR", "COSINE", "CONSTANT"};
// Defaults.
constexpr int64_t kMaxLength = 512, kLanguageMaxLength = 2048;

const std::vector<std::string> kPrecisions = {"AUTO", "FP32", "BF16"};

constexpr size_t kMaxColumnBytes = 1024;

/// Of a classifier.
void ReadColumns(Fields& fields, DatasetSpec& spec) {
  if (spec.text_columns.empty()) spec.text_columns = {"text"};
  if (spec.label_column.empty()) spec.label_column = "label";
  for (const char* name :
       {"prompt_column", "completion_column", "messages_column", "tools_column"}) {
    if (!fields.Text(name, kMaxColumnBytes).empty())
      fields.Fail(name, "is for language models: set task.causal_lm, or leave it out");
  }
}

/// At most one shape is asked for.
void ReadLanguageColumns(Fields& fields, DatasetSpec& spec) {
  spec.prompt_column = fields.Text("prompt_column", kMaxColumnBytes);
  spec.completion_column = fields.Text("completion_column", kMaxColumnBytes);
  spec.messages_column = fields.Text("messages_column", kMaxColumnBytes);
  spec.tools_column = fields.Text("tools_column", kMaxColumnBytes);
  if (!spec.label_column.empty())
    fields.Fail("label_column", "is for classifiers: causal_lm has no labels; leave it out");
  if (spec.text_columns.size() > 1)
    fields.Fail("text_columns", "names two; a language model's texts have one column");
  std::string first;  // Of the shapes that are asked for.
  const auto ask = [&](bool asked, const char* name) {
    if (!asked) return;
    if (!first.empty())
      fields.Fail(name, "and " + first + " are both set, which are of different forms; use one");
    first = name;
  };
  ask(!spec.text_columns.empty(), "text_columns");
  ask(!spec.prompt_column.empty() || !spec.completion_column.empty(),
      spec.prompt_column.empty() ? "completion_column" : "prompt_column");
  ask(!spec.messages_column.empty() || !spec.tools_column.empty(),
      spec.messages_column.empty() ? "tools_column" : "messages_column");
}

StatusOr<DatasetSpec> ReadDataset(const Json& json, const std::string& prefix, tasks::Kind kind) {
  Fields fields(json, prefix);
  DatasetSpec spec;
  spec.train = fields.Text("train", 4096);
  spec.validation = fields.Text("validation", 4096);
  spec.test = fields.Text("test", 4096);
  spec.validation_fraction = fields.Number("validation_fraction", 0, 0.9, 0);
  spec.test_fraction = fields.Number("test_fraction", 0, 0.9, 0);
  spec.text_columns = fields.Texts("text_columns", 2, kMaxColumnBytes);
  spec.label_column = fields.Text("label_column", kMaxColumnBytes);
  constexpr std::array<std::string_view, 3> kFormats = {"csv", "tsv", "jsonl"};
  spec.format = AsciiLower(fields.Text("format", 16));
  if (spec.format == "json") spec.format = "jsonl";
  spec.has_header = fields.Flag("has_header", true);
  spec.max_examples = fields.Integer("max_examples", 0, int64_t{1} << 40, 0);
  if (kind == tasks::Kind::kCausalLanguageModeling) {
    ReadLanguageColumns(fields, spec);
  } else {
    ReadColumns(fields, spec);
  }
  if (spec.train.empty()) fields.Fail("train", "is missing: the URI of the training data");
  if (!spec.validation.empty() && spec.validation_fraction > 0) {
    fields.Fail("validation_fraction", "and validation are both set; use one");
  }
  if (!spec.test.empty() && spec.test_fraction > 0)
    fields.Fail("test_fraction", "and test are both set; use one");
  if (spec.validation_fraction + spec.test_fraction > 0.95) {
    fields.Fail("test_fraction", "and validation_fraction leave less than 5 % to train on");
  }
  if (!spec.format.empty() && std::ranges::find(kFormats, spec.format) == kFormats.end())
    fields.Fail("format", "is " + Quoted(spec.format) + "; use csv, tsv, jsonl or json");
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return spec;
}

StatusOr<Hyperparameters> ReadHyperparameters(const Json& json, bool has_validation) {
  Fields fields(json, "hyperparameters");
  Hyperparameters hp;
  const bool has_epochs = fields.Has("epochs");
  hp.epochs = fields.Number("epochs", 0, 10000, hp.epochs, Fields::Bounds::kOpenLow);
  hp.max_steps = fields.Integer("max_steps", 0, int64_t{1} << 40, 0);
  if (hp.max_steps > 0 && has_epochs) fields.Fail("max_steps", "and epochs are both set; use one");
  hp.batch_size = static_cast<int>(fields.Integer("batch_size", 1, 1 << 20, hp.batch_size));
  hp.batch_tokens = fields.Integer("batch_tokens", 0, int64_t{1} << 30, 0);
  hp.gradient_accumulation_steps =
      static_cast<int>(fields.Integer("gradient_accumulation_steps", 1, 1 << 20, 1));
  hp.learning_rate = fields.Number("learning_rate", 0, 1, 0, Fields::Bounds::kOpenLow);
  hp.lr_schedule = static_cast<LrSchedule>(fields.Choice("lr_schedule", kSchedules, 0));
  hp.warmup_steps = fields.Integer("warmup_steps", 0, int64_t{1} << 40, 0);
  hp.warmup_ratio = fields.Number("warmup_ratio", 0, 1, 0, Fields::Bounds::kOpenHigh);
  if (hp.warmup_steps > 0 && hp.warmup_ratio > 0)
    fields.Fail("warmup_ratio", "and warmup_steps are both set; use one");
  hp.weight_decay = fields.Number("weight_decay", 0, 1, 0);
  hp.adam_beta1 = fields.Number("adam_beta1", 0, 1, hp.adam_beta1, Fields::Bounds::kOpenHigh);
  hp.adam_beta2 = fields.Number("adam_beta2", 0, 1, hp.adam_beta2, Fields::Bounds::kOpenHigh);
  hp.adam_epsilon = fields.Number("adam_epsilon", 0, 1, hp.adam_epsilon, Fields::Bounds::kOpenLow);
  hp.max_grad_norm = fields.Number("max_grad_norm", 0, 1e9, hp.max_grad_norm);
  hp.seed = fields.Unsigned64("seed", hp.seed);
  hp.max_length = static_cast<int>(fields.Integer("max_length", 0, 1 << 20, 0));
  if (hp.max_length > 0 && hp.max_length < families::kLeastMaxLength) {
    fields.Fail("max_length",
                "must leave room for text: at least " + std::to_string(families::kLeastMaxLength));
  }
  hp.evaluations_per_epoch =
      fields.Number("evaluations_per_epoch", 0, 1e6, hp.evaluations_per_epoch);
  hp.early_stopping_patience =
      static_cast<int>(fields.Integer("early_stopping_patience", 0, 1 << 20, 0));
  if (hp.early_stopping_patience > 0 && !has_validation) {
    fields.Fail("early_stopping_patience",
                "needs validation data: set dataset.validation or dataset.validation_fraction");
  }
  hp.keep_best = fields.Flag("keep_best", hp.early_stopping_patience > 0);
  if (hp.keep_best && !has_validation) {
    fields.Fail("keep_best",
                "needs validation data: set dataset.validation or dataset.validation_fraction");
  }
  hp.precision = static_cast<Precision>(fields.Choice("precision", kPrecisions, 0));
  hp.exact = fields.Flag("exact", true);
  hp.keep_checkpoints = static_cast<int>(fields.Integer("keep_checkpoints", 0, 100, 0));
  hp.checkpoint_seconds = fields.Integer("checkpoint_seconds", 0, 1 << 30, hp.checkpoint_seconds);
  hp.max_run_seconds = fields.Integer("max_run_seconds", 0, int64_t{1} << 40, 0);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return hp;
}

}  // namespace

StatusOr<DatasetSpec> DatasetFromJson(const Json& json, tasks::Kind kind) {
  return ReadDataset(json, "dataset", kind);
}

StatusOr<JobSpec> FromJson(const Json& json) {
  Fields fields(json, "");
  JobSpec spec;
  spec.base = fields.Text("base", 63);
  spec.adapter = fields.Text("adapter", 63);
  spec.init_from = fields.Text("init_from", 256);
  spec.priority = static_cast<int>(fields.Integer("priority", -100, 100, 0));
  spec.promote = fields.Flag("promote", false);
  spec.description = fields.Text("description", 1024);
  for (const char* message : {"task", "method", "dataset", "hyperparameters", "labels"})
    (void)fields.Has(message);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  if (spec.base.empty())
    return InvalidArgumentError("base is missing: the id of a base model")
        .At("base", "MISSING_FIELD");
  if (spec.adapter.empty())
    return InvalidArgumentError("adapter is missing: what the result shall be called")
        .At("adapter", "MISSING_FIELD");
  GRAFT_RETURN_IF_ERROR(CheckBaseName(spec.base, "base"));
  GRAFT_RETURN_IF_ERROR(CheckName(spec.adapter, "adapter", "adapter"));

  const Json empty = Json::object();
  const auto part = [&](const char* name) -> const Json& {
    return fields.Has(name) ? fields.raw(name) : empty;
  };
  GRAFT_ASSIGN_OR_RETURN(spec.task, tasks::Parse(part("task")));
  const Json& method = part("method");
  if (!method.is_object() || method.size() != 1) {
    std::string known;
    for (const std::string& name : methods::MethodNames())
      known += (known.empty() ? "" : ", ") + name;
    return InvalidArgumentError("method is missing: one of " + known).At("method", "MISSING_FIELD");
  }
  GRAFT_ASSIGN_OR_RETURN(spec.method,
                         methods::ParseMethod(method.begin().key(), method.begin().value()));
  GRAFT_ASSIGN_OR_RETURN(spec.dataset, ReadDataset(part("dataset"), "dataset", spec.task.kind));
  const bool has_validation =
      !spec.dataset.validation.empty() || spec.dataset.validation_fraction > 0;
  if (!spec.task.language.samples.empty() && !has_validation) {
    return InvalidArgumentError(
               "task.causal_lm.samples are generated at evaluations, which need validation data: "
               "set dataset.validation or dataset.validation_fraction")
        .At("task.causal_lm.samples");
  }
  GRAFT_ASSIGN_OR_RETURN(spec.hyperparameters,
                         ReadHyperparameters(part("hyperparameters"), has_validation));
  const Json& labels = part("labels");
  bool good = labels.is_object() && labels.size() <= 64;
  for (auto label = labels.begin(); good && label != labels.end(); ++label) {
    good = label.key().size() <= 256 && label->is_string() &&
           label->get_ref<const std::string&>().size() <= 256;
    if (good) spec.labels[label.key()] = label->get<std::string>();
  }
  if (!good)
    return InvalidArgumentError("labels must be at most 64 pairs of texts of at most 256 bytes")
        .At("labels");
  return spec;
}

Json JobSpec::ToJson() const {
  const Hyperparameters& hp = hyperparameters;
  Json json = {{"base", base},
               {"adapter", adapter},
               {"init_from", init_from},
               {"task", task.ToJson()},
               {"method", {{std::string(method->name()), method->ToJson()}}},
               {"dataset",
                {{"train", dataset.train},
                 {"validation", dataset.validation},
                 {"test", dataset.test},
                 {"validation_fraction", dataset.validation_fraction},
                 {"test_fraction", dataset.test_fraction},
                 {"text_columns", dataset.text_columns},
                 {"label_column", dataset.label_column},
                 {"format", dataset.format},
                 {"has_header", dataset.has_header},
                 {"max_examples", dataset.max_examples}}},
               {"hyperparameters",
                {{"batch_size", hp.batch_size},
                 {"batch_tokens", hp.batch_tokens},
                 {"gradient_accumulation_steps", hp.gradient_accumulation_steps},
                 {"lr_schedule", kSchedules[static_cast<size_t>(hp.lr_schedule)]},
                 {"warmup_steps", hp.warmup_steps},
                 {"warmup_ratio", hp.warmup_ratio},
                 {"weight_decay", hp.weight_decay},
                 {"adam_beta1", hp.adam_beta1},
                 {"adam_beta2", hp.adam_beta2},
                 {"adam_epsilon", hp.adam_epsilon},
                 {"max_grad_norm", hp.max_grad_norm},
                 {"seed", hp.seed},
                 {"evaluations_per_epoch", hp.evaluations_per_epoch},
                 {"early_stopping_patience", hp.early_stopping_patience},
                 {"keep_best", hp.keep_best},
                 {"precision", kPrecisions[static_cast<size_t>(hp.precision)]},
                 {"exact", hp.exact},
                 {"keep_checkpoints", hp.keep_checkpoints},
                 {"checkpoint_seconds", hp.checkpoint_seconds},
                 {"max_run_seconds", hp.max_run_seconds}}},
               {"priority", priority},
               {"labels", labels},
               {"promote", promote},
               {"description", description}};
  for (const auto& [name, column] : {std::pair("prompt_column", &dataset.prompt_column),
                                     {"completion_column", &dataset.completion_column},
                                     {"messages_column", &dataset.messages_column},
                                     {"tools_column", &dataset.tools_column}}) {
    if (!column->empty()) json["dataset"][name] = *column;
  }
  Json& out = json["hyperparameters"];
  if (hp.max_steps > 0) {
    out["max_steps"] = hp.max_steps;
  } else {
    out["epochs"] = hp.epochs;
  }
  // Not resolved yet: absent, so that reading it back leaves it open.
  if (hp.learning_rate > 0) out["learning_rate"] = hp.learning_rate;
  if (hp.max_length > 0) out["max_length"] = hp.max_length;
  return json;
}

Status CheckHasHead(const std::string& base, tasks::Kind kind, const families::Layout& layout) {
  if (kind != tasks::Kind::kCausalLanguageModeling || !layout.language_head.empty())
    return OkStatus();
  return InvalidArgumentError(base +
                              " has no language head (lm_head.weight), which causal_lm needs")
      .At("task.causal_lm", "NO_LANGUAGE_HEAD");
}

StatusOr<JobSpec> Resolve(JobSpec spec, const families::Layout& layout) {
  GRAFT_ASSIGN_OR_RETURN(spec.method, spec.method->Resolve(layout));
  Hyperparameters& hp = spec.hyperparameters;
  GRAFT_RETURN_IF_ERROR(CheckHasHead(spec.base, spec.task.kind, layout));
  if (hp.learning_rate <= 0) hp.learning_rate = DefaultLearningRate(spec.task, *spec.method);
  if (hp.max_length == 0) {
    hp.max_length = DefaultMaxLength(spec.task.kind, layout);
  }
  if (hp.max_length > layout.max_positions) {
    return InvalidArgumentError("hyperparameters.max_length is " + std::to_string(hp.max_length) +
                                "; this base reads at most " +
                                std::to_string(layout.max_positions) + " tokens")
        .At("hyperparameters.max_length");
  }
  return spec;
}

int DefaultMaxLength(tasks::Kind kind, const families::Layout& layout) {
  const bool is_language = kind == tasks::Kind::kCausalLanguageModeling;
  const int64_t wanted = is_language ? kLanguageMaxLength : kMaxLength;
  return static_cast<int>(std::min(wanted, layout.max_positions));
}

int64_t TotalSteps(const Hyperparameters& hp, int64_t micro_batches_per_epoch) {
  if (hp.max_steps > 0) return hp.max_steps;
  const int64_t accumulation = hp.gradient_accumulation_steps;
  const int64_t per_epoch =
      std::max<int64_t>(1, (micro_batches_per_epoch + accumulation - 1) / accumulation);
  return std::max<int64_t>(
      1, static_cast<int64_t>(std::ceil(hp.epochs * static_cast<double>(per_epoch))));
}

int64_t WarmupSteps(const Hyperparameters& hp, int64_t total_steps) {
  if (hp.warmup_steps > 0) return hp.warmup_steps;
  return static_cast<int64_t>(std::ceil(hp.warmup_ratio * static_cast<double>(total_steps)));
}

double LrFactor(const Hyperparameters& hp, int64_t step, int64_t total_steps) {
  const int64_t warmup = WarmupSteps(hp, total_steps);
  if (step < warmup)
    return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup));
  const auto rest = static_cast<double>(std::max<int64_t>(1, total_steps - warmup));
  switch (hp.lr_schedule) {
    case LrSchedule::kConstant:
      return 1.0;
    case LrSchedule::kCosine:
      return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi *
                                                 static_cast<double>(step - warmup) / rest)));
    case LrSchedule::kLinear:
      return std::max(0.0, static_cast<double>(total_steps - step) / rest);
  }
  return 1.0;
}

}  // namespace graft::spec
