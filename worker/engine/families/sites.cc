#include "worker/engine/families/sites.h"

#include <string>
#include <utility>

#include "worker/engine/model/weights.h"

namespace graft::worker::engine {

LinearSite SiteOf(const Base& base, int64_t layer, const std::vector<families::LinearRole>& roles) {
  const families::Layout& layout = base.layout();
  LinearSite site;
  std::vector<std::string> weights, biases;
  int64_t column = 0;
  for (const families::LinearRole role : roles) {
    const size_t index = layout.LinearAt(layer, role);
    const families::Linear& linear = layout.linears[index];
    site.slices.push_back({index, column, column + linear.out});
    column += linear.out;
    weights.push_back(linear.path + ".weight");
    if (linear.bias) biases.push_back(linear.path + ".bias");
  }
  site.weight = MatrixOf(base, std::move(weights));
  if (!biases.empty()) site.bias = MatrixOf(base, std::move(biases));
  return site;
}

}  // namespace graft::worker::engine
