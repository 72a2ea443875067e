#include "common/artifacts/declared.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/datasets/label_checks.h"
#include "common/datasets/label_keys.h"
#include "common/tokenizers/model_max_length.h"

namespace graft::artifacts {
namespace {

constexpr size_t kMaxLabels = 10'000;
const std::string kStandIn = "LABEL_";  ///< What transformers calls labels without names.

StatusOr<Json> ReadObject(const Files& files, const std::string& name) {
  const auto file = files.find(name);
  if (file == files.end()) return Json::object();
  GRAFT_ASSIGN_OR_RETURN(Json json, ParseJson(file->second, name, {.max_bytes = 16 << 20}));
  if (!json.is_object()) return InvalidArgumentError(name + " isn't an object");
  return json;
}

bool AreIdsBehind(const std::string& prefix, const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] != prefix + std::to_string(i)) return false;
  }
  return true;
}

/// id2label in id order; none if there is none, nullopt if it is no full list of names.
std::optional<std::vector<std::string>> NamesById(const Json& config) {
  const Json labels = config.value("id2label", Json());
  if (labels.is_null() || labels.empty()) return std::vector<std::string>{};
  if (!labels.is_object() || labels.size() > kMaxLabels) return std::nullopt;
  std::vector<std::string> names(labels.size());
  for (const auto& [id, name] : labels.items()) {
    size_t index = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), index);
    if (error != std::errc() || end != id.data() + id.size() || index >= names.size() ||
        !(name.is_string() || name.is_number_integer())) {
      return std::nullopt;
    }
    names[index] = name.is_string() ? name.get<std::string>() : name.dump();
  }
  return names;
}

/// What config.json says of labels and isn't used; empty if nothing. `names` are those that are.
std::string LabelDoubt(const Json& config, const std::vector<std::string>& names) {
  const Json by_name = config.value("label2id", Json());
  if (!by_name.is_object() || by_name.empty()) return {};
  if (names.empty()) {
    const auto items = by_name.items();
    const bool named = std::any_of(items.begin(), items.end(), [](const auto& item) {
      return !item.key().starts_with(kStandIn);
    });
    return named ? "it has label2id without names in id2label, and is passed over" : "";
  }
  for (const auto& [name, id] : by_name.items()) {
    if (!id.is_number_integer() || id < 0 || id >= names.size() ||
        names[id.get<size_t>()] != name) {
      return "its label2id has " + Quoted(name, 40) + " as " + Printable(id.dump(), 20) +
             ", which id2label says otherwise";
    }
  }
  return {};
}

/// `ours`, a config.json, with what the folder's own says in its place.
Json Overlaid(Json ours, const Json& config) {
  // What ModelConfig says in other fields.
  if (ours.contains("rope_theta")) ours["rope_parameters"] = nullptr;
  if (ours.contains("sliding_window")) {
    for (const char* field :
         {"sliding_window", "use_sliding_window", "max_window_layers", "layer_types"}) {
      if (config.contains(field)) ours["layer_types"] = nullptr;
    }
  }
  for (auto field = ours.begin(); field != ours.end(); ++field) {
    const auto said = config.find(field.key());
    const bool none = said == config.end() || (field.key() == "rope_theta" && said->is_null());
    if (!none) *field = *said;
  }
  return ours;
}

/// The fields of `ours` that `theirs` has otherwise.
std::string Differences(const Json& theirs, const Json& ours) {
  std::string list;
  for (const auto& [field, value] : ours.items()) {
    const auto said = theirs.find(field);
    if (said == theirs.end() || *said == value) continue;
    list += (list.empty() ? "" : ", ") + field + " is " + Printable(said->dump(), 40) +
            " where the base has " + Printable(value.dump(), 40);
  }
  return list;
}

/// What config.json says of the model and the base says otherwise; empty if nothing. Both are
/// compared as they are read: a rope or a window can be said in several ways.
std::string ModelDoubt(const Json& config, const families::Layout& layout) {
  const auto model_of = [](const families::Layout& read) {
    Json fields = families::ModelConfig(read);
    for (const auto& [name, id] : read.token_ids.items()) fields.erase(name);
    return fields;
  };
  Json ours = model_of(layout);
  const auto read = families::ReadLayout(Overlaid(ours, config).dump(), {});
  std::string doubt;
  if (read.ok()) {
    Json theirs = model_of(*read);
    if (read->rope == layout.rope) {
      for (const char* field : {"rope_theta", "rope_scaling"}) theirs.erase(field);
    }
    if (theirs.contains("layer_types")) ours.emplace("layer_types", nullptr);
    doubt = Differences(theirs, ours);
  } else {
    doubt = Differences(config, layout.fingerprint_config);
    if (doubt.empty()) doubt = "it can't be compared with the base's: " + read.status().message();
  }
  return doubt.empty() ? doubt
                       : doubt +
                             "; the adapter is served on the base as it is, and only if it was "
                             "trained on such a one are its answers right";
}

std::string List(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < names.size() && i < 5; ++i)
    list += (i > 0 ? ", " : "") + Printable(names[i], 40);
  return names.size() > 5 ? list + ", ..." : list;
}

}  // namespace

bool AreStandIns(const std::vector<std::string>& names) { return AreIdsBehind(kStandIn, names); }

bool AreNumbers(const std::vector<std::string>& names) { return AreIdsBehind("", names); }

StatusOr<Declared> ReadDeclared(const Files& files, const families::Layout& layout,
                                int64_t head_outputs) {
  Declared declared;
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObject(files, "config.json"));
  if (const Json problem = config.value("problem_type", Json());
      !problem.is_null() && problem != "single_label_classification") {
    return InvalidArgumentError("config.json: problem_type is " + Printable(problem.dump(), 80) +
                                "; graft builds single_label_classification, and this adapter's "
                                "outputs mean something else");
  }
  const std::optional<std::vector<std::string>> names = NamesById(config);
  if (names && !AreStandIns(*names)) declared.label_names = *names;
  const std::string label_doubt =
      names ? LabelDoubt(config, declared.label_names)
            : "its id2label doesn't name each id from 0 up, and is passed over";
  if (!label_doubt.empty()) declared.passed_over.push_back("config.json: " + label_doubt);
  if (const std::string doubt = ModelDoubt(config, layout); !doubt.empty())
    declared.passed_over.push_back("config.json: " + doubt);
  if (const Json labels = config.value("num_labels", Json());
      head_outputs > 0 && !labels.is_null() && labels != head_outputs) {
    declared.passed_over.push_back("config.json: num_labels is " + Printable(labels.dump(), 20) +
                                   ", and the head has " + std::to_string(head_outputs) +
                                   " outputs, which count");
  }
  if (const Json base = config.value("_name_or_path", Json()); base.is_string())
    declared.base = base.get<std::string>();
  GRAFT_ASSIGN_OR_RETURN(const Json tokenizer, ReadObject(files, "tokenizer_config.json"));
  declared.max_length = tokenizers::ModelMaxLength(tokenizer);
  return declared;
}

Status CheckTokenizer(const ImportRequest& request, const Files& files) {
  if (request.base_tokenizer == nullptr) return OkStatus();
  const tokenizers::TokenizerFiles own = TokenizerFilesAmong(files);
  if (own.empty()) return OkStatus();
  const auto loaded =
      tokenizers::LoadTokenizer(tokenizers::OverlaidFiles(request.tokenizer_files, own));
  if (!loaded.ok()) {
    return InvalidArgumentError("the folder's own tokenizer can't be compared with that of " +
                                request.base + ": " + loaded.status().message() +
                                "; if it is the base's, leave its files out");
  }
  const auto difference = tokenizers::FirstDifference(**loaded, *request.base_tokenizer);
  if (!difference) return OkStatus();
  return InvalidArgumentError("the folder's own tokenizer isn't that of " + request.base + ": " +
                              *difference +
                              "; the adapter would read other tokens than it was trained on")
      .At("file", "ANOTHER_TOKENIZER");
}

Status CheckLabels(const std::vector<std::string>& names, int64_t head_outputs, bool names_given) {
  const auto bad = [](const std::string& what, const char* reason) {
    return InvalidArgumentError(what).At("header.label_names", reason);
  };
  if (head_outputs == 1) {
    return InvalidArgumentError(
               "the head has 1 output: a regression or a reward, which isn't built; a classifier "
               "has an output for each of two labels or more")
        .At("file", "ONE_OUTPUT");
  }
  const std::string outputs = std::to_string(head_outputs);
  if (names.empty()) {
    return bad("the folder doesn't name its labels; pass them in the order of their ids" +
                   (head_outputs > 0 ? " (the head has " + outputs + " outputs)" : std::string()),
               "LABELS_UNKNOWN");
  }
  const std::string count = std::to_string(names.size());
  if (head_outputs > 0 && names.size() != static_cast<size_t>(head_outputs)) {
    return bad("the head has " + outputs + " outputs and " +
                   (names_given ? count + " label names were given ("
                                : "the folder names " + count + " labels (") +
                   List(names) + "); one name is needed for each output, in the order of their ids",
               "LABEL_COUNT");
  }
  if (names.size() < 2) return bad("a classifier needs at least two label names", "ONE_CLASS");
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (datasets::SameLabelKey(name).empty()) return bad("a label name is empty", "EMPTY_LABEL");
    if (!seen.insert(name).second)
      return bad("two outputs would have one label name, " + Quoted(name), "LABEL_TWINS");
  }
  if (const auto twins = datasets::FindNameTwins(names))
    return bad("two outputs would have one label name: " + *twins, "LABEL_TWINS");
  return OkStatus();
}

}  // namespace graft::artifacts
