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
constexpr size_t kMaxToldLabels = 20;  // In a message.

StatusOr<TaskSpec> ReadFields(Kind kind, const Json& json) {
  TaskSpec task{.kind = kind, .label_names = {}};
  Fields fields(json, std::string("task.") + NamesOf(kind).field);
  if (kind == Kind::kCausalLanguageModeling) {
    GRAFT_RETURN_IF_ERROR(fields.Finish());
    return task;
  }
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
  if (kind == Kind::kSequenceClassification) fields["label_names"] = label_names;
  return {{NamesOf(kind).field, fields}};
}

int64_t RowsAtOnce(Kind kind, int64_t width) {
  if (kind != Kind::kCausalLanguageModeling) return std::numeric_limits<int64_t>::max();
  return std::max<int64_t>(1, kMostLogitBytes / (width * static_cast<int64_t>(sizeof(float))));
}

TaskSpec Classification(std::vector<std::string> label_names) {
  return {.kind = Kind::kSequenceClassification, .label_names = std::move(label_names)};
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
