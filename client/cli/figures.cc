#include "client/cli/figures.h"

#include <map>

#include "client/cli/context.h"

namespace graft::cli {
namespace {

using Metrics = std::map<std::string, double>;

/// In the order of their names.
Metrics MetricsOf(const graft::v1::Evaluation& evaluation) {
  if (!evaluation.metrics().empty())
    return {evaluation.metrics().begin(), evaluation.metrics().end()};
  // A server that knows no map has classifiers only.
  return {{"accuracy", evaluation.accuracy()}, {"macro_f1", evaluation.macro_f1()}};
}

/// "macro_f1" -> "macro F1".
std::string InWords(std::string name) {
  for (char& c : name) c = c == '_' ? ' ' : c;
  if (name.ends_with(" f1")) name[name.size() - 2] = 'F';
  return name;
}

}  // namespace

std::string Figures(const graft::v1::Evaluation& evaluation) {
  std::string text;
  for (const auto& [name, value] : MetricsOf(evaluation))
    text += InWords(name) + " " + Fixed(value, 4) + "  ";
  return text + "loss " + Fixed(evaluation.loss(), 4);
}

std::string FirstFigure(const graft::v1::Evaluation& evaluation) {
  const Metrics metrics = MetricsOf(evaluation);
  return InWords(metrics.begin()->first) + " " + Fixed(metrics.begin()->second, 4);
}

}  // namespace graft::cli
