#pragma once
/// Which settings of a job can't take effect, or undo themselves, in the run that they would make:
/// each is allowed, and each deserves a word before a device is taken. Pure functions.

#include <cstdint>
#include <string>
#include <vector>

#include "common/families/layout.h"
#include "common/spec/job_spec.h"

namespace graft::spec {

/// What is known of a run before it starts.
struct RunSize {
  int64_t train_examples = 0;
  int64_t validation_examples = 0;
  int64_t micro_batches = 0;   ///< Of one epoch.
  int64_t total_steps = 0;     ///< Optimizer steps of the run.
  int64_t longest_tokens = 0;  ///< The longest training example, cut to max_length.
  double seconds = 0;          ///< Estimated; 0: unknown.
};

/// Says for each such setting what it is set to, why that has no effect, and what has.
/// Requires: `spec` is resolved for `layout`, and its task's labels are known.
std::vector<std::string> FindIdleSettings(const JobSpec& spec, const families::Layout& layout,
                                          const RunSize& run);

}  // namespace graft::spec
