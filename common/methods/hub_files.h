#pragma once
/// AdapterHub's folders and BottleneckSpec, both ways: adapter_config.json + adapter.safetensors,
/// head_config.json + model_head.safetensors. docs/formats.md lists what is read.
/// Source: adapters 1.3.0, configuration/adapter_config.py, heads/base.py, head_utils.py.

#include <map>
#include <string>
#include <vector>

#include "common/families/head_form.h"
#include "common/methods/bottleneck.h"

namespace graft::methods {

/// The adapter's name inside the files that graft writes. Fixed, so that keys don't depend on what
/// the adapter is called in graft.
inline constexpr const char* kHubName = "graft";

/// Both config files of a resolved method.
std::map<std::string, std::string> HubConfigFiles(const BottleneckSpec& spec,
                                                  const families::Layout& layout,
                                                  const ArtifactContext& context);

/// See ImportMethod. `file`: the text of adapter_config.json as JSON, an object.
StatusOr<ImportedMethod> ImportHubFolder(
    const Json& file, const std::map<std::string, std::string>& configs,
    const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
    const families::Layout& layout);

// The parts of the two.

/// The "config" of adapter_config.json: a BnConfig.
Json HubBnConfig(const BottleneckSpec& spec, const families::Layout& layout);

/// Reads the text of adapter_config.json into the fields of BottleneckSpec::Parse, all but "size",
/// "layer_sizes" (the tensors tell) and "head".
/// Errors: InvalidArgument naming a field and its value if graft doesn't compute it.
StatusOr<Json> ReadHubBnConfig(const Json& file, const families::Layout& layout);

/// What head_config.json says.
struct HubHead {
  families::HeadForm form;
  std::vector<std::string> label_names;  ///< Empty if it doesn't say.
  bool is_static = false;  ///< A model class's own head: its tensors bear the family's names.
};

/// The "config" of head_config.json.
Json HubHeadConfig(const families::HeadForm& form, const tasks::TaskSpec& task);

/// Positions of the head's new linears in AdapterHub's nn.Sequential (dropout, linear, activation,
/// dropout, linear, ...): "1", "4".
std::vector<std::string> HubHeadPositions(const families::HeadForm& form);

/// Errors: InvalidArgument naming the head's type, class or field if graft doesn't compute it.
StatusOr<HubHead> ReadHubHead(const Json& file, const families::Layout& layout);

/// AdapterHub's name of an activation; "" is none.
Json HubActivation(const std::string& ours);
/// graft's name of an activation; empty if it computes none of that name. AdapterHub compares in
/// lower case.
std::string ActivationOfHub(const std::string& theirs);

}  // namespace graft::methods
