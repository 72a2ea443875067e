#include <set>
#include <utility>

#include "common/families/activations.h"
#include "common/methods/foreign_config.h"
#include "common/methods/hub_files.h"

namespace graft::methods {
namespace {

/// The one table of a flexible head's fields, for writer and reader.
constexpr std::string_view kFields[] = {"activation_function", "bias",      "dropout_prob",
                                        "head_type",           "label2id",  "layers",
                                        "num_labels",          "use_pooler"};

Status Bad(const std::string& what) { return InvalidArgumentError("head_config.json: " + what); }

/// Positions from one linear to the next: dropout, linear, and an activation unless it has none.
size_t Step(const families::HeadForm& form) {
  return !form.hidden.empty() && form.hidden.front().empty() ? 2 : 3;
}

/// Names in id order; none if `labels` is null.
StatusOr<std::vector<std::string>> ReadLabels(const Json& labels) {
  std::vector<std::string> names;
  if (!labels.is_object()) return names;
  names.resize(labels.size());
  std::set<size_t> ids;
  for (const auto& [label, id] : labels.items()) {
    if (!id.is_number_unsigned() || id.get<size_t>() >= labels.size() ||
        !ids.insert(id.get<size_t>()).second) {
      return Bad("label2id isn't a numbering from 0");
    }
    names[id.get<size_t>()] = label;
  }
  return names;
}

/// The layers between the first token and the labels.
StatusOr<families::HeadForm> ReadForm(const Json& config, const families::Layout& layout) {
  families::HeadForm form;
  const Json pooler = config.value("use_pooler", Json(false));
  const Json bias = config.value("bias", Json(true));
  for (const auto& [name, value] :
       {std::pair<const char*, const Json&>{"use_pooler", pooler}, {"bias", bias}}) {
    if (!value.is_boolean())
      return Bad(std::string(name) + " is " + Shown(value) + "; it must be true or false");
  }
  form.pooler = pooler == Json(true);
  form.bias = bias == Json(true);
  if (form.pooler && !layout.head.front().in_base) {
    return Bad("use_pooler is true, but this base (" + layout.family + ") has no pooler");
  }
  const Json layers = config.value("layers", Json());
  if (!layers.is_number_integer() || layers < 1 || layers > families::kMaxHiddenLayers + 1) {
    return Bad("layers is " + Shown(layers) + "; heads of 1 to " +
               std::to_string(families::kMaxHiddenLayers + 1) + " layers are built");
  }
  if (layers == 1) return form;
  const Json activation = config.value("activation_function", Json());
  std::string ours;
  if (!activation.is_null() && activation != Json("")) {
    ours = activation.is_string() ? ActivationOfHub(activation.get<std::string>()) : "";
    if (ours.empty()) {
      return Bad("activation_function is " + Shown(activation) + ", which isn't built; " +
                 families::ActivationList() + " are");
    }
  }
  form.hidden.assign(layers.get<size_t>() - 1, ours);
  return form;
}

Status CheckNumber(const Json& count, const HubHead& head) {
  if (count.is_null()) return OkStatus();
  if (count == Json(1)) {
    return Bad("num_labels is 1: the head is a regression, which isn't built; classification is");
  }
  if (!head.label_names.empty() && count != Json(head.label_names.size())) {
    return Bad("num_labels is " + Shown(count) + ", but label2id names " +
               std::to_string(head.label_names.size()));
  }
  return OkStatus();
}

/// The head that transformers' own class has, under its own names: the family's default.
StatusOr<HubHead> ReadStaticHead(const Json& file, const families::Layout& layout) {
  const Json name = file.value("model_class", Json());
  const std::string expected =
      layout.model_class + tasks::NamesOf(tasks::Kind::kSequenceClassification).class_suffix;
  if (name != Json(expected)) {
    return Bad("it is the head of the model class " + Shown(name) +
               ", which isn't built for this base; that of " + expected +
               " is, and AdapterHub's heads of type \"classification\"");
  }
  HubHead head;
  head.form = families::HeadForm::Default(layout);
  head.is_static = true;
  GRAFT_ASSIGN_OR_RETURN(head.label_names, ReadLabels(file.value("label2id", Json())));
  GRAFT_RETURN_IF_ERROR(CheckNumber(file.value("num_labels", Json()), head));
  return head;
}

}  // namespace

std::vector<std::string> HubHeadPositions(const families::HeadForm& form) {
  std::vector<std::string> positions;
  for (size_t i = 0; i <= form.hidden.size(); ++i)
    positions.push_back(std::to_string(i * Step(form) + 1));
  return positions;
}

Json HubHeadConfig(const families::HeadForm& form, const tasks::TaskSpec& task) {
  const std::vector<std::string>& label_names = task.label_names;
  Json label2id = Json::object();
  for (size_t i = 0; i < label_names.size(); ++i) label2id[label_names[i]] = i;
  return {
      {"head_type", tasks::NamesOf(task.kind).hub_head_type},
      {"num_labels", label_names.size()},
      {"layers", form.hidden.size() + 1},
      {"activation_function", form.hidden.empty() ? "tanh" : HubActivation(form.hidden.front())},
      {"label2id", label2id},
      {"use_pooler", form.pooler},
      {"bias", form.bias},
      {"dropout_prob", nullptr}};
}

StatusOr<HubHead> ReadHubHead(const Json& file, const families::Layout& layout) {
  if (!file.is_object() || !file.contains("config")) return Bad("it has no config");
  const Json& config = file["config"];
  if (config.is_null()) return ReadStaticHead(file, layout);
  if (!config.is_object()) return Bad("config is " + Shown(config) + ", not an object");
  if (const Json type = config.value("head_type", Json()); type != Json("classification")) {
    return Bad("a head of type " + Shown(type) + " isn't built; \"classification\" is");
  }
  GRAFT_RETURN_IF_ERROR(
      RefuseUnknown(config, "head_config.json", {std::begin(kFields), std::end(kFields)}));
  HubHead head;
  GRAFT_ASSIGN_OR_RETURN(head.form, ReadForm(config, layout));
  GRAFT_ASSIGN_OR_RETURN(head.label_names, ReadLabels(config.value("label2id", Json())));
  GRAFT_RETURN_IF_ERROR(CheckNumber(config.value("num_labels", Json()), head));
  return head;
}

}  // namespace graft::methods
