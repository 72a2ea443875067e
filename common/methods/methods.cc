#include <functional>
#include <numeric>

#include "common/base/utf8.h"
#include "common/methods/bottleneck.h"
#include "common/methods/foreign_config.h"
#include "common/methods/hub_files.h"
#include "common/methods/lora.h"
#include "common/methods/method_spec.h"
#include "common/methods/overlay.h"

namespace graft::methods {
namespace {

struct Method {
  const char* name;
  StatusOr<std::shared_ptr<const MethodSpec>> (*parse)(const Json& fields);
};

// The one list of methods.
constexpr Method kMethods[] = {{"lora", &LoraSpec::Parse},
                               {"bottleneck", &BottleneckSpec::Parse},
                               {"last_layers", &LastLayersSpec::Parse},
                               {"full", &FullSpec::Parse}};

}  // namespace

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  for (const Method& method : kMethods) names.emplace_back(method.name);
  return names;
}

StatusOr<std::shared_ptr<const MethodSpec>> ParseMethod(std::string_view name, const Json& fields) {
  std::string known;
  for (const Method& method : kMethods) {
    if (name == method.name) return method.parse(fields);
    known += (known.empty() ? "" : ", ") + std::string(method.name);
  }
  return InvalidArgumentError("there is no method " + Quoted(name) + "; there are " + known)
      .At("method", "NO_SUCH_METHOD");
}

std::string FunctionDifference(const MethodSpec& from, const MethodSpec& to) {
  const auto differs = [](const std::string& field, const std::string& was, const std::string& is) {
    return "its " + field + " is " + was + ", the job's is " + is;
  };
  if (from.name() != to.name())
    return differs("method", std::string(from.name()), std::string(to.name()));
  // A field that isn't there has its default.
  const Json before = from.FunctionJson();
  const Json now = to.FunctionJson();
  const auto text = [](const Json& fields, const std::string& field) {
    return fields.contains(field) ? fields[field].dump() : std::string("the default");
  };
  for (const Json* fields : {&before, &now}) {
    for (const auto& item : fields->items()) {
      const std::string was = text(before, item.key());
      const std::string is = text(now, item.key());
      if (was != is) return differs(item.key(), was, is);
    }
  }
  return {};
}

namespace {

StatusOr<ImportedMethod> ReadFolder(
    const std::map<std::string, std::string>& configs,
    const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
    const families::Layout& layout) {
  const auto file = configs.find("adapter_config.json");
  if (file == configs.end())
    return NotFoundError("the folder has no adapter_config.json; PEFT and AdapterHub write one");
  GRAFT_ASSIGN_OR_RETURN(const Json config,
                         ParseJson(file->second, "adapter_config.json", {.max_bytes = 1 << 20}));
  if (!config.is_object()) return InvalidArgumentError("adapter_config.json isn't an object");
  // Both libraries use this file's name; only PEFT's has a peft_type.
  if (config.contains("peft_type")) {
    if (config["peft_type"] == "LORA")
      return LoraSpec::Import(config, file->second, tensor_shapes, layout);
    return UnimplementedError("adapter_config.json: PEFT adapters of type " +
                              Shown(config["peft_type"]) + " aren't built; LORA is");
  }
  if (config.contains("config")) return ImportHubFolder(config, configs, tensor_shapes, layout);
  return InvalidArgumentError(
      "adapter_config.json is neither PEFT's (peft_type) nor AdapterHub's (config)");
}

}  // namespace

StatusOr<ImportedMethod> ImportMethod(
    const std::map<std::string, std::string>& configs,
    const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
    const families::Layout& layout) {
  GRAFT_ASSIGN_OR_RETURN(ImportedMethod imported, ReadFolder(configs, tensor_shapes, layout));
  const std::string head = imported.method->Head(layout).back().path + ".weight";
  for (const auto& [key, name] : imported.renamed_keys) {
    const auto shape = tensor_shapes.find(key);
    if (name == head && shape != tensor_shapes.end() && !shape->second.empty())
      imported.head_outputs = shape->second[0];
  }
  return imported;
}

int64_t TrainableParameters(const std::vector<TensorSpec>& tensors) {
  int64_t count = 0;
  for (const TensorSpec& tensor : tensors) {
    if (!tensor.trained) continue;
    count +=
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
  }
  return count;
}

}  // namespace graft::methods
