#pragma once
/// Loads the golden cases under tests/golden: a tiny base, an adapter as PEFT or AdapterHub
/// saved it, and what the reference computed.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/batch.h"
#include "worker/engine/model/model.h"
#include "worker/engine/tasks/task.h"
#include "worker/engine/tasks/tokenized.h"

namespace graft::worker::engine::testing {

struct GoldenCase {
  std::string name;
  Json json;  ///< case.json.
  std::shared_ptr<const Base> base;
  std::unique_ptr<Model> model;
  std::unique_ptr<Adapter> adapter;  ///< With the case's tensors.
  std::shared_ptr<const Task> task;
  TokenizedSplit data;  ///< Its sequences with their targets.
  /// What the reference computed: expected.safetensors by key, without the gradients.
  std::map<std::string, at::Tensor> expected;
  std::map<std::string, at::Tensor> grads;  ///< By TensorSpec::name, of the mean loss.

  /// All sequences in one batch of a training pass, owned by `owner` (null: the plain base); the
  /// rows that targets are for are wanted.
  PackedBatch Batch(const Adapter* owner) const;
  int64_t num_targets() const { return static_cast<int64_t>(data.targets.size()); }
};

/// Folders of the encoders' and of the decoders' cases: the source tree's, unless GRAFT_GOLDEN
/// names another in place of tests/golden.
std::string GoldenFolder();
std::string DecoderFolder();
/// The base of a family's cases, in one of the two.
std::filesystem::path GoldenBase(const std::string& family);

/// A difference as the tests' report shows it, "3.1e-06".
std::string Shown(double difference);

/// Names of the cases in `folder`, sorted.
std::vector<std::string> GoldenCaseNames(const std::string& folder = GoldenFolder());

/// Loads one; throws if it can't, which fails the calling test. `change`, if set, may alter the
/// base's config.json. What is expected stays on the CPU.
GoldenCase LoadGoldenCase(const std::string& name, at::ScalarType compute = at::kFloat,
                          const std::string& folder = GoldenFolder(),
                          const std::function<void(Json& config)>& change = {},
                          at::Device device = at::kCPU);

/// The same in fp32, of weights that are rounded as a bf16 base and its adapter round them.
GoldenCase LoadRoundedCase(const std::string& name, const std::string& folder = GoldenFolder());

}  // namespace graft::worker::engine::testing
