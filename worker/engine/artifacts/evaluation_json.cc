#include "worker/engine/artifacts/evaluation_json.h"

#include <set>
#include <string>

namespace graft::worker::engine {

Json EvaluationJson(const report::Evaluation& evaluation) {
  Json json = {{"step", evaluation.step},
               {"split", evaluation.split},
               {"examples", evaluation.examples},
               {"loss", evaluation.loss}};
  for (const auto& [name, value] : evaluation.metrics) json[name] = value;
  return json;
}

report::Evaluation ReadEvaluation(const Json& json) {
  static const std::set<std::string> fields = {"step", "split", "examples", "loss"};
  report::Evaluation evaluation;
  evaluation.step = json.at("step");
  evaluation.split = json.at("split");
  evaluation.examples = json.at("examples");
  evaluation.loss = json.at("loss");
  for (const auto& [name, value] : json.items()) {
    if (!fields.contains(name)) evaluation.metrics[name] = value;
  }
  return evaluation;
}

}  // namespace graft::worker::engine
