#pragma once
/// The task of a PEFT folder's adapter, and what its head must then be: a classifier's own, in the
/// file, or the base's to the vocabulary.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/methods/peft_contents.h"
#include "common/tasks/task_spec.h"

namespace graft::methods {

/// By the config's task_type; where it says none, a file with a new head is a classifier's, and one
/// without it a language model's if the base has a head for that.
/// Errors: InvalidArgument for a task that isn't built, or not on this base.
StatusOr<tasks::Kind> PeftTask(const Json& config, const PeftContents& contents,
                               const families::Layout& layout);

/// Errors: InvalidArgument, naming the tensor, if a classifier's head isn't whole or a language
/// model's file holds one.
Status CheckPeftHead(const Json& config, const PeftContents& contents, tasks::Kind kind,
                     const families::Layout& layout);

/// Where a base's language head is its embeddings, an adapter that trains one of them must have
/// trained both as one. Adds to `contents` what a head's copy alone replaces.
/// Errors: InvalidArgument if the config says that they are two.
Status TieHead(const Json& config, const families::Layout& layout, PeftContents& contents);

/// Keys of a file whose tensors the base has as one.
struct TiedKeys {
  std::string words, head;
};

/// Those of a folder that holds both, by what ImportMethod says of its keys: they must hold the
/// same, for only one of them is read.
std::optional<TiedKeys> FindTiedKeys(const std::map<std::string, std::string>& renamed_keys,
                                     const families::Layout& layout);

/// Paths of the task's head linears, which PEFT reaches by the rules for all modules.
std::vector<std::string> HeadPaths(tasks::Kind kind, const families::Layout& layout);

}  // namespace graft::methods
