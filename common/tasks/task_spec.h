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

/// Which tokens a language model learns to write.
enum class LossOn {
  kAnswers,  ///< Completions and the assistant's turns; all of a plain text.
  kAll,      ///< Prompts and the other turns too.
};

inline constexpr size_t kMostSamples = 8;
inline constexpr int kDefaultSampleTokens = 64;

/// How a language model is trained. None of it changes an answer of the version: the template does,
/// which is one of the version's files.
struct LanguageTraining {
  LossOn loss_on = LossOn::kAnswers;
  std::string chat_template;  ///< Source; empty: the base's.
  /// By the names that templates know them by, such as enable_thinking: an object.
  Json chat_template_variables = Json::object();
  std::vector<std::string> samples;          ///< Prompts that are continued at each evaluation.
  int sample_tokens = kDefaultSampleTokens;  ///< Most tokens of each text.

  friend bool operator==(const LanguageTraining&, const LanguageTraining&) = default;
};

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
  LanguageTraining language = {};  ///< Of causal language modelling.

  /// Width of a new head's last layer. Requires: labels are known. A language model has no new
  /// head.
  int64_t outputs() const { return static_cast<int64_t>(label_names.size()); }
  /// {"sequence_classification": {"label_names": [...]}}; language models' fields only where they
  /// aren't their defaults.
  Json ToJson() const;
  /// What a version of it is: without how it was trained, but with what its chats begin with (their
  /// template is a file of its own).
  TaskSpec OfVersion() const;

  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

/// Rows of outputs, each `width` wide, that a task's loss is computed over at once: it is a sum
/// over rows, and not all of a language model's fit in memory. As many as 64 MiB of fp32 logits
/// hold, one at least; any number for other tasks.
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
