#include "server/core/rows.h"

#include "common/tasks/task_spec.h"

namespace graft::server::core {

bool IsTerminal(JobState state) {
  return state == JobState::kSucceeded || state == JobState::kFailed ||
         state == JobState::kCancelled;
}

std::string_view JobStateName(JobState state) {
  switch (state) {
    case JobState::kValidating:
      return "VALIDATING";
    case JobState::kQueued:
      return "QUEUED";
    case JobState::kRunning:
      return "RUNNING";
    case JobState::kPaused:
      return "PAUSED";
    case JobState::kSucceeded:
      return "SUCCEEDED";
    case JobState::kFailed:
      return "FAILED";
    case JobState::kCancelled:
      return "CANCELLED";
  }
  return "UNKNOWN";
}

tasks::TaskSpec TaskOf(const Version& version) {
  if (!version.label_names.empty()) return tasks::Classification(version.label_names);
  tasks::TaskSpec task;
  task.kind = tasks::Kind::kCausalLanguageModeling;
  return task;
}

}  // namespace graft::server::core
