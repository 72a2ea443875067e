#include "common/methods/peft_task.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>

#include "common/families/language_head.h"
#include "common/methods/foreign_config.h"
#include "common/methods/peft_config.h"

namespace graft::methods {
namespace {

/// True if modules_to_save has copies of its own made of `path`.
bool IsSavedApart(const Json& config, const std::string& path) {
  const Json saved = config.value("modules_to_save", Json());
  if (!saved.is_array() || config.value("ensure_weight_tying", Json()) == Json(true)) return false;
  return std::any_of(saved.begin(), saved.end(), [&](const Json& name) {
    // PEFT compares the ends of paths, not of names between dots.
    return name.is_string() && path.ends_with(name.get_ref<const std::string&>());
  });
}

}  // namespace

StatusOr<tasks::Kind> PeftTask(const Json& config, const PeftContents& contents,
                               const families::Layout& layout) {
  using enum tasks::Kind;
  const Json task = config.value("task_type", Json());
  const bool has_language_head = !layout.language_head.empty();
  if (task.is_null()) {
    return contents.head.empty() && has_language_head ? kCausalLanguageModeling
                                                      : kSequenceClassification;
  }
  for (const tasks::Kind kind : {kSequenceClassification, kCausalLanguageModeling}) {
    if (task != tasks::NamesOf(kind).peft_task_type) continue;
    if (kind == kSequenceClassification || has_language_head) return kind;
  }
  if (task == "FEATURE_EXTRACTION") {
    return BadConfig(
        "task_type is \"FEATURE_EXTRACTION\": the adapter was trained on a model without a "
        "classification head or one to the vocabulary, and graft serves classifiers and language "
        "models; train it with a head");
  }
  return BadConfig("task_type is " + Shown(task) + "; only SEQ_CLS" +
                   (has_language_head ? " and CAUSAL_LM are" : " is") + " built for this base");
}

Status CheckPeftHead(const Json& config, const PeftContents& contents, tasks::Kind kind,
                     const families::Layout& layout) {
  if (kind == tasks::Kind::kCausalLanguageModeling) {
    if (contents.head.empty()) return OkStatus();
    return BadConfig("task_type is " + Shown(config.value("task_type", Json())) +
                     ", but adapter_model.safetensors holds a classifier's " +
                     *contents.head.begin());
  }
  if (!contents.tied_head_key.empty()) {
    return BadConfig("task_type is " + Shown(config.value("task_type", Json())) +
                     ", but adapter_model.safetensors holds a language model's " +
                     contents.tied_head_key);
  }
  for (const families::HeadLinear& head : layout.head) {
    if (head.in_base) continue;
    for (const std::string suffix : {".weight", ".bias"}) {
      if (contents.head.contains(head.path + suffix) || (suffix == ".bias" && !head.bias)) continue;
      return BadConfig("the folder lacks the head's " + head.path + suffix +
                       " (modules_to_save is " + Shown(config.value("modules_to_save", Json())) +
                       "): it can't classify without it. Train and save the adapter with task_type "
                       "SEQ_CLS, or with the head in modules_to_save");
    }
  }
  return OkStatus();
}

Status TieHead(const Json& config, const families::Layout& layout, PeftContents& contents) {
  if (!families::TiesLanguageHead(layout)) return OkStatus();
  const std::string words = layout.embeddings.words + ".weight";
  const auto key = std::find_if(contents.names.begin(), contents.names.end(),
                                [&](const auto& named) { return named.second == words; });
  const bool has_words = key != contents.names.end();
  const bool has_head = !contents.tied_head_key.empty();
  if (has_words && has_head) return OkStatus();
  for (const auto& [is_there, path, other] :
       {std::tuple{has_words, layout.embeddings.words, std::string(families::kLanguageHead)},
        {has_head, std::string(families::kLanguageHead), layout.embeddings.words}}) {
    if (!is_there || !IsSavedApart(config, path)) continue;
    return BadConfig("modules_to_save names " + path + " without ensure_weight_tying, so " + other +
                     " stayed as it was; in this base the two are one tensor, and graft keeps them "
                     "so. Train it again with ensure_weight_tying");
  }
  if (has_head) {
    contents.names[contents.tied_head_key] = words;
    contents.replaced.insert(words);
  }
  return OkStatus();
}

std::optional<TiedKeys> FindTiedKeys(const std::map<std::string, std::string>& renamed_keys,
                                     const families::Layout& layout) {
  if (!families::TiesLanguageHead(layout)) return std::nullopt;
  TiedKeys keys;
  for (const auto& [key, name] : renamed_keys) {
    if (name == layout.embeddings.words + ".weight") keys.words = key;
    const std::string head = std::string(families::kLanguageHead) + ".weight";
    if (name.empty() && IsOrEndsWith(key, head)) keys.head = key;
  }
  if (keys.words.empty() || keys.head.empty()) return std::nullopt;
  return keys;
}

std::vector<std::string> HeadPaths(tasks::Kind kind, const families::Layout& layout) {
  if (kind == tasks::Kind::kCausalLanguageModeling) return {families::kLanguageHead};
  std::vector<std::string> paths;
  for (const families::HeadLinear& head : layout.head) paths.push_back(head.path);
  return paths;
}

}  // namespace graft::methods
