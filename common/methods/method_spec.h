#pragma once
/// What a method asks for, without tensors: its fields, checks, counts and file names. The engine's
/// half of a method is worker/engine/methods/<name>; the two agree on `TensorSpec::name`. Adding a
/// method: one proto message, a pair like lora.{h,cc} beside this file, a pair in the engine, a
/// test, and a line in methods.cc.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/tasks/task_spec.h"

namespace graft::methods {

/// A trainable tensor of an adapter, and where its file keeps it.
struct TensorSpec {
  std::string name;  ///< Unique inside the adapter;
                     ///< "bert.encoder.layer.0.attention.self.query.lora_A.weight".
  std::vector<int64_t> shape;
  std::string file;             ///< "adapter_model.safetensors"
  std::string key;              ///< Its key there.
  bool overrides_base = false;  ///< A weight overlay: `name` is a base tensor that it replaces.
  bool decay = true;            ///< Weight decay applies (not to biases and norms).
  bool trained = true;  ///< False: kept and stored, but never changed (a head left as initialised).
  /// A transformer layer, families::kBelowLayers or kAboveLayers.
  int layer = families::kAboveLayers;
};

/// What the config files name besides the method's own fields.
struct ArtifactContext {
  std::string base;      ///< Base id.
  std::string adapter;   ///< Adapter id.
  tasks::TaskSpec task;  ///< Its labels are known.
};

/// Immutable.
class MethodSpec {
 public:
  virtual ~MethodSpec() = default;
  virtual std::string_view name() const = 0;  ///< "lora": the oneof field of graft.v1.Method.
  /// Every field with its resolved value, names as in the proto.
  virtual Json ToJson() const = 0;
  /// The fields of ToJson() that change what the adapter computes from given tensors, and those
  /// that shape them. The others matter in training only (dropout, initial values), or say in words
  /// what the tensors' names say.
  virtual Json FunctionJson() const = 0;
  /// Checks against a base and returns the spec with defaults that depend on it filled in (target
  /// modules).
  /// Errors: InvalidArgument, with the field path below "method.<name>".
  virtual StatusOr<std::shared_ptr<const MethodSpec>> Resolve(
      const families::Layout& layout) const = 0;
  /// Lists every tensor of the adapter with its head, in name order. Requires: resolved for this
  /// layout; the task's labels are known.
  virtual std::vector<TensorSpec> Tensors(const families::Layout& layout,
                                          const tasks::TaskSpec& task) const = 0;
  /// True if the base computes the same with the adapter as without it, told by which of the
  /// adapter's tensors hold zeros only. Requires: resolved for this layout.
  using IsZero = std::function<bool(const std::string& tensor)>;
  virtual bool ChangesNothing(const families::Layout& /*layout*/, const IsZero& /*is_zero*/) const {
    return false;
  }
  /// Share of an adapter's inputs or outputs that training drops at random.
  virtual double dropout() const { return 0; }
  /// True if a micro-batch's sequences that begin alike have equal rows there, which training then
  /// computes once: rows of a causal model depend on nothing else, unless some of it is random.
  bool SharesBeginnings(const families::Layout& layout) const {
    return layout.causal && dropout() == 0;
  }
  /// A classifier's layers in forward order. Requires: resolved for this layout.
  virtual std::vector<families::HeadLinear> Head(const families::Layout& layout) const {
    return layout.head;
  }
  /// The head that `task` asks for. Requires: as Head.
  std::vector<families::HeadLinear> HeadFor(const families::Layout& layout,
                                            const tasks::TaskSpec& task) const {
    return task.kind == tasks::Kind::kCausalLanguageModeling ? layout.language_head : Head(layout);
  }
  /// Returns config files (name -> text) as PEFT or AdapterHub write them. Requires: resolved.
  virtual std::map<std::string, std::string> ConfigFiles(const families::Layout& layout,
                                                         const ArtifactContext& context) const = 0;
  virtual double default_learning_rate() const = 0;
  /// True if all that the adapter does but a head can be written into weights that the base has:
  /// without it the base then computes the same.
  virtual bool mergeable() const = 0;
  /// "peft", "adapterhub" or "graft" (state dict with HF names): who else reads the files.
  virtual std::string_view artifact_format() const = 0;
};

/// Why tensors of `from` would compute something else under `to`, as a part of a sentence ("its
/// alpha is 8, the job's is 16"); empty if no field tells. The tensors' names are compared apart.
std::string FunctionDifference(const MethodSpec& from, const MethodSpec& to);

/// Reads {"rank": 8, ...} as the fields of method `name`. Absent fields take their defaults.
/// Errors: InvalidArgument for an unknown method (lists them), an unknown field, a wrong type, a
/// value out of range.
StatusOr<std::shared_ptr<const MethodSpec>> ParseMethod(std::string_view name, const Json& fields);

/// What an imported folder says of itself.
struct ImportedMethod {
  std::shared_ptr<const MethodSpec> method;  ///< Resolved.
  tasks::TaskSpec task;                      ///< Without labels if the folder doesn't say.
  /// File key -> TensorSpec::name, for keys whose names depend on the folder (AdapterHub's adapter
  /// name); to an empty name: a copy to pass over. A key that is neither here nor a TensorSpec::key
  /// of the method is an error of the folder.
  std::map<std::string, std::string> renamed_keys;
  int64_t head_outputs = 0;         ///< Of the classification head; 0 if nothing tells.
  std::string declared_base;        ///< The base's name or path; empty if nothing tells.
  std::vector<std::string> doubts;  ///< Sentences on what the folder says otherwise than the base.
};

/// Recognises a folder by its adapter_config.json (`peft_type`: PEFT; `config`: AdapterHub) or
/// graft.json. `configs` holds the folder's *.json texts; `tensor_shapes` every safetensors key
/// with its shape.
/// Errors: InvalidArgument with a sentence for any field set to something that isn't implemented:
/// such a field is never ignored. NotFound if there is no adapter_config.json.
StatusOr<ImportedMethod> ImportMethod(
    const std::map<std::string, std::string>& configs,
    const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
    const families::Layout& layout);

/// Names of the methods there are.
std::vector<std::string> MethodNames();

/// Number of elements over trained tensors.
int64_t TrainableParameters(const std::vector<TensorSpec>& tensors);

}  // namespace graft::methods
