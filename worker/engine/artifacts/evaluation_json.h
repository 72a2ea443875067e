#pragma once
/// Evaluations as graft.json and checkpoints hold them.

#include "common/base/json.h"
#include "common/report/report.h"

namespace graft::worker::engine {

/// {"step", "split", "examples", "loss"}, and each metric as a key of its own beside them.
Json EvaluationJson(const report::Evaluation& evaluation);

/// Reads it back. Throws Json::exception if a field is missing or of another type.
report::Evaluation ReadEvaluation(const Json& json);

}  // namespace graft::worker::engine
