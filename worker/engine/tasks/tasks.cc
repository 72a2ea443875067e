#include "worker/engine/tasks/classification.h"
#include "worker/engine/tasks/language_modeling.h"
#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {

// The one list of the engine's tasks.
std::shared_ptr<const Task> MakeTask(tasks::TaskSpec spec) {
  switch (spec.kind) {
    case tasks::Kind::kSequenceClassification:
      return std::make_shared<Classification>(std::move(spec));
    case tasks::Kind::kCausalLanguageModeling:
      return std::make_shared<LanguageModeling>(std::move(spec));
  }
  return nullptr;  // Every kind stands above.
}

StatusOr<TokenizedSplit> Tokenize(const std::vector<datasets::Example>& examples,
                                  ExampleEncoder& encoder, const std::function<Status()>& between) {
  TokenizedSplit split;
  for (const datasets::Example& example : examples) {
    if (between) GRAFT_RETURN_IF_ERROR(between());
    GRAFT_RETURN_IF_ERROR(encoder.Append(example, split));
  }
  split.num_given = static_cast<int64_t>(examples.size());
  return split;
}

}  // namespace graft::worker::engine
