#include "common/methods/hub_files.h"

#include <optional>
#include <utility>

#include "common/base/utf8.h"
#include "common/families/language_head.h"
#include "common/methods/foreign_config.h"

namespace graft::methods {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

/// Where "….adapters.<name>.adapter_down.0.weight" belongs.
struct AdapterKey {
  const families::Sublayer* sublayer;
  std::string ours;  ///< "adapter_down.weight"
};

std::optional<AdapterKey> FindAdapterKey(const std::string& key, const families::Layout& layout) {
  for (const families::Sublayer& sublayer : layout.sublayers) {
    // AdapterHub writes names with the model's prefix and without.
    for (const std::string& path :
         {sublayer.hub_path, sublayer.hub_path.substr(layout.prefix.size())}) {
      if (!key.starts_with(path + ".")) continue;
      const std::string rest = key.substr(path.size() + 1);
      if (rest.ends_with(".scaling")) return AdapterKey{&sublayer, "scaling"};
      for (const auto& [theirs, ours] :
           {std::pair<std::string, std::string>{".adapter_down.0.", "adapter_down."},
            {".adapter_up.", "adapter_up."}}) {
        const size_t at = rest.find(theirs);
        if (at != std::string::npos)
          return AdapterKey{&sublayer, ours + rest.substr(at + theirs.size())};
      }
    }
  }
  return std::nullopt;
}

/// Adds the adapter's names to `renamed` and its sizes, which the tensors tell, to `fields`.
Status ReadAdapterTensors(const Shapes& shapes, const families::Layout& layout, Json& fields,
                          std::map<std::string, std::string>& renamed) {
  std::map<int, int64_t> sizes;
  for (const auto& [key, shape] : shapes) {
    const auto found = FindAdapterKey(key, layout);
    if (!found) continue;
    renamed[key] = BottleneckSpec::Prefix(*found->sublayer) + found->ours;
    if (found->ours != "adapter_down.weight" || shape.size() != 2) continue;
    const int layer = found->sublayer->layer;
    if (!sizes.emplace(layer, shape[0]).second && sizes[layer] != shape[0]) {
      return InvalidArgumentError("the two adapters of layer " + std::to_string(layer) +
                                  " have the widths " + std::to_string(sizes[layer]) + " and " +
                                  std::to_string(shape[0]) + "; one width a layer is built");
    }
  }
  if (sizes.empty()) {
    return InvalidArgumentError(
        "adapter_config.json: the folder's tensors hold no adapter_down of this base (" +
        layout.model_class + "AdapterModel)");
  }
  fields["size"] = sizes.begin()->second;
  Json by_layer = Json::array();
  for (int layer = 0; layer < layout.num_layers; ++layer)
    by_layer.push_back(sizes.contains(layer) ? Json(sizes[layer]) : fields["size"]);
  fields["layer_sizes"] = by_layer;
  return OkStatus();
}

/// Adds the names of a flexible head, "heads.<name>.<position>.weight"; a static one has ours.
void ReadHeadTensors(const Shapes& shapes, const HubHead& head, const families::Layout& layout,
                     std::map<std::string, std::string>& renamed) {
  const std::vector<std::string> positions = HubHeadPositions(head.form);
  size_t next = 0;
  for (const families::HeadLinear& linear : head.form.Linears(layout)) {
    if (linear.in_base) continue;
    for (const char* suffix : {".weight", ".bias"}) {
      for (const auto& [key, shape] : shapes) {
        const bool is_it = head.is_static ? key == linear.path + suffix
                                          : key.starts_with("heads.") &&
                                                key.ends_with("." + positions[next] + suffix);
        if (is_it) renamed[key] = linear.path + suffix;
      }
    }
    ++next;
  }
}

/// True for an adapter that goes with the base's own layer to the vocabulary: it has no head file,
/// or one that names transformers' class.
bool UsesLanguageHead(const Json& head, const families::Layout& layout) {
  if (layout.language_head.empty()) return false;
  if (head.empty()) return true;
  const std::string suffix = tasks::NamesOf(tasks::Kind::kCausalLanguageModeling).class_suffix;
  return head.is_object() && head.value("config", Json()).is_null() &&
         head.value("model_class", Json()) == Json(layout.model_class + suffix);
}

/// Whether a copy of the base's layer was trained isn't told, and none is read.
Status CheckNoLanguageHead(const Shapes& shapes) {
  const std::string weight = std::string(families::kLanguageHead) + ".weight";
  if (!shapes.contains(weight)) return OkStatus();
  return InvalidArgumentError("model_head.safetensors holds the layer to the vocabulary, " +
                              weight +
                              ", which isn't read: the base's is used. If it wasn't trained, save "
                              "the adapter without its head (with_head=False)");
}

/// What a file says of the model.
void AddModel(const Json& file, const std::string& name, const families::Layout& layout,
              ImportedMethod& imported) {
  const auto doubt = [&](const char* field, const std::string& ours) {
    imported.doubts.push_back(name + ": " + field + " is " + Shown(file[field]) + ", " + ours);
  };
  for (const auto& [field, ours] : {std::pair<const char*, Json>{"model_type", layout.family},
                                    {"hidden_size", layout.hidden}}) {
    const Json said = file.value(field, Json());
    if (!said.is_null() && said != ours) doubt(field, "the base's is " + ours.dump());
  }
  const Json base = file.value("model_name", Json());
  if (!base.is_string() || base == Json("") || base == Json(imported.declared_base)) return;
  if (imported.declared_base.empty()) {
    imported.declared_base = base.get<std::string>();
  } else {
    doubt("model_name", "adapter_config.json's is " + Quoted(imported.declared_base, 200));
  }
}

}  // namespace

std::map<std::string, std::string> HubConfigFiles(const BottleneckSpec& spec,
                                                  const families::Layout& layout,
                                                  const ArtifactContext& context) {
  // A language model's head is the base's own: that of transformers' class, with no file.
  const bool language = context.task.kind == tasks::Kind::kCausalLanguageModeling;
  const std::string model_class =
      layout.model_class +
      (language ? tasks::NamesOf(context.task.kind).class_suffix : "AdapterModel");
  const Json common = {
      {"hidden_size", layout.hidden}, {"model_class", model_class}, {"model_name", context.base},
      {"model_type", layout.family},  {"name", kHubName},           {"version", "adapters.1.2.0"}};
  Json adapter = common;
  adapter["config"] = HubBnConfig(spec, layout);
  if (language) return {{"adapter_config.json", adapter.dump(2)}};
  Json head = common;
  head["config"] = HubHeadConfig(spec.head_form(layout), context.task);
  return {{"adapter_config.json", adapter.dump(2)}, {"head_config.json", head.dump(2)}};
}

StatusOr<ImportedMethod> ImportHubFolder(const Json& file,
                                         const std::map<std::string, std::string>& configs,
                                         const Shapes& tensor_shapes,
                                         const families::Layout& layout) {
  GRAFT_ASSIGN_OR_RETURN(Json fields, ReadHubBnConfig(file, layout));
  ImportedMethod imported;
  GRAFT_RETURN_IF_ERROR(ReadAdapterTensors(tensor_shapes, layout, fields, imported.renamed_keys));
  Json head_json = Json::object();
  const auto head_file = configs.find("head_config.json");
  if (head_file != configs.end()) {
    GRAFT_ASSIGN_OR_RETURN(head_json, ParseJson(head_file->second, "head_config.json"));
  }
  if (UsesLanguageHead(head_json, layout)) {
    GRAFT_RETURN_IF_ERROR(CheckNoLanguageHead(tensor_shapes));
    imported.task = {.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}};
  } else if (head_file == configs.end()) {
    return InvalidArgumentError(
        "adapter_config.json: the folder has no head_config.json; save the adapter with its "
        "prediction head");
  } else {
    GRAFT_ASSIGN_OR_RETURN(HubHead head, ReadHubHead(head_json, layout));
    ReadHeadTensors(tensor_shapes, head, layout, imported.renamed_keys);
    fields["head"] = head.form.ToText();
    imported.task = tasks::Classification(std::move(head.label_names));
  }
  static const std::vector<ReadAs> names = {{"non_linearity", "activation"},
                                            {"the adapter's size", "size"},
                                            {"the adapter's sizes", "layer_sizes"}};
  GRAFT_ASSIGN_OR_RETURN(imported.method,
                         ResolveRead(BottleneckSpec::Parse(fields), "bottleneck", names, layout));
  AddModel(file, "adapter_config.json", layout, imported);
  AddModel(head_json, "head_config.json", layout, imported);
  return imported;
}

}  // namespace graft::methods
