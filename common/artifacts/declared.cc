#include "common/artifacts/declared.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/datasets/label_checks.h"
#include "common/datasets/label_keys.h"

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

/// id2label in id order; empty if it is no full list of names, or only transformers' stand-ins.
std::vector<std::string> LabelsOf(const Json& config) {
  const Json labels = config.value("id2label", Json());
  if (!labels.is_object() || labels.empty() || labels.size() > kMaxLabels) return {};
  std::vector<std::string> names(labels.size());
  bool stand_ins = true;
  for (const auto& [id, name] : labels.items()) {
    size_t index = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), index);
    if (error != std::errc() || end != id.data() + id.size() || index >= names.size() ||
        !name.is_string()) {
      return {};
    }
    names[index] = name.get<std::string>();
    stand_ins = stand_ins && names[index] == kStandIn + id;
  }
  return stand_ins ? std::vector<std::string>{} : names;
}

bool AreStandIns(const Json& labels) {
  const auto items = labels.items();
  return std::all_of(items.begin(), items.end(), [](const auto& item) {
    return item.value().is_string() &&
           item.value().template get<std::string>().starts_with(kStandIn);
  });
}

/// What config.json says of labels and isn't used; empty if nothing. `names` are those that are.
std::string LabelDoubt(const Json& config, const std::vector<std::string>& names) {
  const Json by_id = config.value("id2label", Json());
  const Json by_name = config.value("label2id", Json());
  const bool says = !by_id.is_null() && !by_id.empty();
  if (names.empty() && says && !(by_id.is_object() && AreStandIns(by_id)))
    return "its id2label doesn't name each id from 0 up, and is passed over";
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

std::string List(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < names.size() && i < 5; ++i)
    list += (i > 0 ? ", " : "") + Printable(names[i], 40);
  return names.size() > 5 ? list + ", ..." : list;
}

}  // namespace

StatusOr<Declared> ReadDeclared(const Files& files) {
  Declared declared;
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObject(files, "config.json"));
  if (const Json problem = config.value("problem_type", Json());
      !problem.is_null() && problem != "single_label_classification") {
    return InvalidArgumentError("config.json: problem_type is " + Printable(problem.dump(), 80) +
                                "; graft builds single_label_classification, and this adapter's "
                                "outputs mean something else");
  }
  declared.label_names = LabelsOf(config);
  if (const std::string doubt = LabelDoubt(config, declared.label_names); !doubt.empty())
    declared.passed_over.push_back("config.json: " + doubt);
  GRAFT_ASSIGN_OR_RETURN(const Json tokenizer, ReadObject(files, "tokenizer_config.json"));
  // transformers writes 1e30 where there is no limit.
  if (const Json length = tokenizer.value("model_max_length", Json());
      length.is_number_unsigned() && length > 0 && length < 1'000'000) {
    declared.max_length = length.get<int>();
  }
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
