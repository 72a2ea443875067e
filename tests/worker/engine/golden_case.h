#pragma once
/// Loads the golden cases under tests/golden/data: a tiny base, an adapter as PEFT or AdapterHub
/// saved it, and what the reference computed.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/batch.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine::testing {

struct GoldenCase {
  std::string name;
  std::shared_ptr<const Base> base;
  std::unique_ptr<Model> model;
  std::unique_ptr<Adapter> adapter;  ///< With the case's tensors.
  std::vector<std::vector<int32_t>> ids, type_ids;
  std::vector<int64_t> labels;
  at::Tensor logits_SC;                     ///< The reference's.
  double loss = 0;                          ///< Its mean loss.
  std::map<std::string, at::Tensor> grads;  ///< By TensorSpec::name, of the mean loss.

  /// All sequences in one batch of a training pass, owned by `owner` (null: the plain base); their
  /// first rows are wanted.
  PackedBatch Batch(const Adapter* owner) const;
};

/// Folder of the cases: the source tree's, unless GRAFT_GOLDEN names another.
std::string GoldenFolder();

/// Names of the cases, sorted.
std::vector<std::string> GoldenCaseNames();

/// Loads one; fails the calling test and returns an empty case if it can't.
GoldenCase LoadGoldenCase(const std::string& name, at::ScalarType compute = at::kFloat);

}  // namespace graft::worker::engine::testing
