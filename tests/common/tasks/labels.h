#pragma once
/// Tasks where only the number of labels matters.

#include <string>
#include <vector>

#include "common/tasks/task_spec.h"

namespace graft::tasks {

/// A classification over "label 0", "label 1", ...
inline TaskSpec Labels(int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back("label " + std::to_string(i));
  return Classification(std::move(names));
}

}  // namespace graft::tasks
