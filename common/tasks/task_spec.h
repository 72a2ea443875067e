#pragma once
/// What a model's outputs mean, as a value: the kind of a task with its fields, and what PEFT,
/// AdapterHub and transformers call it. Its JSON form has the field names of graft.v1.Task. Adding
/// a kind: a message in graft.v1.Task, a row of kKinds in task_spec.cc, a pair in
/// worker/engine/tasks, a test.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"

namespace graft::tasks {

enum class Kind {
  kSequenceClassification,  ///< One of several labels for a text or a pair of texts.
  kCausalLanguageModeling,  ///< Each next token of a text.
};

/// What a kind is called, here and elsewhere.
struct KindNames {
  Kind kind;
  const char* field;           ///< Of graft.v1.Task: "sequence_classification".
  const char* peft_task_type;  ///< "SEQ_CLS"; peft.TaskType.
  const char* hub_head_type;   ///< "classification"; head_type in AdapterHub's head_config.json.
  const char* class_suffix;    ///< "ForSequenceClassification", behind transformers' "Bert".
};

/// An absent task in a request, a version or a row is of this kind.
inline constexpr Kind kDefaultKind = Kind::kSequenceClassification;

const KindNames& NamesOf(Kind kind);

struct TaskSpec {
  Kind kind = kDefaultKind;
  /// Of classification, in id order; empty: those of the data, not known yet.
  std::vector<std::string> label_names;

  /// Width of a new head's last layer. Requires: labels are known. A language model has no new
  /// head.
  int64_t outputs() const { return static_cast<int64_t>(label_names.size()); }
  /// {"sequence_classification": {"label_names": [...]}}
  Json ToJson() const;

  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

/// Rows of outputs, each `width` wide, that a task's loss is computed over at once: it is a sum over
/// rows, and not all of a language model's fit in memory. As many as 64 MiB of fp32 logits hold, one
/// at least; any number for other tasks.
int64_t RowsAtOnce(Kind kind, int64_t width);

/// A classification over these labels.
TaskSpec Classification(std::vector<std::string> label_names);

/// Reads graft.v1.Task's JSON form; `{}` is the default kind with the labels of the data. Errors
/// name the field below "task".
/// Errors: InvalidArgument if a field is unknown, of a wrong type or out of range, a label stands
/// twice, or there is one only.
StatusOr<TaskSpec> Parse(const Json& json);

/// Why a version of the task `from` can't be continued as `to`, as a part of a sentence ("its
/// labels are no, yes, in this order"); empty if it can.
std::string Difference(const TaskSpec& from, const TaskSpec& to);

}  // namespace graft::tasks
