#include "common/tasks/task_spec.h"

#include <algorithm>
#include <limits>

#include "common/base/fields.h"
#include "common/base/utf8.h"

namespace graft::tasks {
namespace {

// The one list of kinds.
constexpr KindNames kKinds[] = {
    {Kind::kSequenceClassification, "sequence_classification", "SEQ_CLS", "classification",
     "ForSequenceClassification"},
    {Kind::kCausalLanguageModeling, "causal_lm", "CAUSAL_LM", "causal_lm", "ForCausalLM"}};

constexpr size_t kMaxLabels = 10'000;
constexpr size_t kMaxLabelBytes = 1024;
constexpr int64_t kMostLogitBytes = int64_t{64} << 20;
constexpr size_t kMaxToldLabels = 20;                  // In a message.
constexpr size_t kMaxTemplateBytes = size_t{1} << 20;  // As templates::Limits.
constexpr size_t kMaxVariableBytes = size_t{64} << 10;
constexpr size_t kMaxSampleBytes = size_t{16} << 10;
constexpr int64_t kMostSampleTokens = 1024;

const std::vector<std::string> kLossOn = {"ANSWERS", "ALL"};

StatusOr<LanguageTraining> ReadLanguage(const Json& json, const std::string& prefix) {
  Fields fields(json, prefix);
  LanguageTraining language;
  language.loss_on = static_cast<LossOn>(fields.Choice("loss_on", kLossOn, 0));
  language.chat_template = fields.Text("chat_template", kMaxTemplateBytes);
  if (fields.Has("chat_template_variables")) {
    language.chat_template_variables = fields.raw("chat_template_variables");
    if (!language.chat_template_variables.is_object() ||
        language.chat_template_variables.dump().size() > kMaxVariableBytes) {
      fields.Fail(
          "chat_template_variables",
          "must be an object of at most " + std::to_string(kMaxVariableBytes) + " bytes of JSON");
    }
  }
  language.samples = fields.Texts("samples", kMostSamples, kMaxSampleBytes);
  if (std::ranges::any_of(language.samples, &std::string::empty))
    fields.Fail("samples", "holds an empty prompt");
  // 0 is what protobuf writes for a number that isn't set.
  const int64_t tokens = fields.Integer("sample_tokens", 0, kMostSampleTokens, 0);
  if (tokens > 0) language.sample_tokens = static_cast<int>(tokens);
  if (tokens > 0 && language.samples.empty())
    fields.Fail("sample_tokens", "is set and samples are not; name prompts, or leave it out");
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return language;
}

StatusOr<TaskSpec> ReadFields(Kind kind, const Json& json) {
  TaskSpec task;
  task.kind = kind;
  const std::string prefix = std::string("task.") + NamesOf(kind).field;
  if (kind == Kind::kCausalLanguageModeling) {
    GRAFT_ASSIGN_OR_RETURN(task.language, ReadLanguage(json, prefix));
    return task;
  }
  Fields fields(json, prefix);
  task.label_names = fields.Texts("label_names", kMaxLabels, kMaxLabelBytes);
  std::vector<std::string> sorted = task.label_names;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    fields.Fail("label_names", "holds a name twice");
  if (sorted.size() == 1) fields.Fail("label_names", "needs at least two names");
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return task;
}

}  // namespace

const KindNames& NamesOf(Kind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [&](const KindNames& names) { return names.kind == kind; });
}

Json TaskSpec::ToJson() const {
  Json fields = Json::object();
  if (kind == Kind::kSequenceClassification) {
    fields["label_names"] = label_names;
    return {{NamesOf(kind).field, fields}};
  }
  if (language.loss_on != LossOn::kAnswers)
    fields["loss_on"] = kLossOn[static_cast<size_t>(language.loss_on)];
  if (!language.chat_template.empty()) fields["chat_template"] = language.chat_template;
  if (!language.chat_template_variables.empty())
    fields["chat_template_variables"] = language.chat_template_variables;
  if (!language.samples.empty()) fields["samples"] = language.samples;
  if (language.sample_tokens != kDefaultSampleTokens)
    fields["sample_tokens"] = language.sample_tokens;
  return {{NamesOf(kind).field, fields}};
}

int64_t RowsAtOnce(Kind kind, int64_t width) {
  if (kind != Kind::kCausalLanguageModeling) return std::numeric_limits<int64_t>::max();
  return std::max<int64_t>(1, kMostLogitBytes / (width * static_cast<int64_t>(sizeof(float))));
}

TaskSpec TaskSpec::OfVersion() const {
  TaskSpec task = *this;
  task.language = {};
  task.language.chat_template_variables = language.chat_template_variables;
  return task;
}

TaskSpec Classification(std::vector<std::string> label_names) {
  TaskSpec task;
  task.label_names = std::move(label_names);
  return task;
}

StatusOr<TaskSpec> Parse(const Json& json) {
  Fields fields(json, "task");
  TaskSpec task;
  for (const KindNames& names : kKinds) {
    if (!fields.Has(names.field)) continue;
    GRAFT_ASSIGN_OR_RETURN(task, ReadFields(names.kind, fields.raw(names.field)));
  }
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return task;
}

std::string Difference(const TaskSpec& from, const TaskSpec& to) {
  if (from.kind != to.kind)
    return std::string("its task is ") + NamesOf(from.kind).field + ", the job's is " +
           NamesOf(to.kind).field;
  if (from.label_names == to.label_names) return {};
  std::string labels;
  for (size_t i = 0; i < std::min(from.label_names.size(), kMaxToldLabels); ++i)
    labels += (i > 0 ? ", " : "") + Printable(from.label_names[i]);
  if (from.label_names.size() > kMaxToldLabels)
    labels += " and " + std::to_string(from.label_names.size() - kMaxToldLabels) + " more";
  return "its labels are " + labels + ", in this order";
}

}  // namespace graft::tasks
