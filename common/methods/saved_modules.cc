#include "common/methods/saved_modules.h"

#include <algorithm>
#include <set>

#include "common/base/utf8.h"
#include "common/families/language_head.h"
#include "common/methods/peft_config.h"

namespace graft::methods {
namespace {

/// Paths of the base's modules that hold tensors, and of heads on it.
std::set<std::string> ModulesOf(const families::Layout& layout) {
  std::set<std::string> modules = {families::kLanguageHead};
  const auto add = [&](const std::string& tensor) {
    for (size_t dot = tensor.find('.'); dot != std::string::npos; dot = tensor.find('.', dot + 1))
      modules.insert(tensor.substr(0, dot));
  };
  for (const families::TensorShape& tensor : layout.tensors) add(tensor.name);
  for (const families::HeadLinear& linear : layout.head) add(linear.path + ".weight");
  return modules;
}

bool LiesInOneOf(const std::string& path, const std::set<std::string>& modules) {
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
    if (modules.contains(path.substr(0, dot))) return true;
  }
  return false;
}

/// The distinct last names of modules that hold tensors: "input_layernorm, k_proj".
std::string LastNames(const families::Layout& layout) {
  std::set<std::string> names;
  for (const families::TensorShape& tensor : layout.tensors) {
    const std::string module = tensor.name.substr(0, tensor.name.rfind('.'));
    names.insert(module.substr(module.rfind('.') + 1));
  }
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// What to write in place of a name that no module of the base has.
std::string NoModule(const std::string& name, const families::Layout& layout) {
  for (const families::HeadLinear& linear : layout.head) {
    if (!linear.in_base && LiesInModule(linear.path + ".", name))
      return "is the head of a classifier, which has it saved anyhow; leave it out";
  }
  if (IsOrEndsWith(families::kLanguageHead, name) && families::TiesLanguageHead(layout)) {
    const std::string words = layout.embeddings.words;
    return "is tied to the embeddings in this base: name " + words.substr(words.rfind('.') + 1) +
           ", and both are trained as one";
  }
  return "is no module of this base; there are " + LastNames(layout);
}

}  // namespace

bool LiesInModule(const std::string& path, const std::string& name) {
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
    if (IsOrEndsWith(path.substr(0, dot), name)) return true;
  }
  return false;
}

Status CheckSavedModules(const std::vector<std::string>& names,
                         const std::vector<families::Linear>& adapted,
                         const families::Layout& layout) {
  for (const std::string& name : names) {
    const auto bad = [&](const std::string& what) {
      return InvalidArgumentError("method.lora.modules_to_save: " + Quoted(name) + " " + what)
          .At("method.lora.modules_to_save");
    };
    for (const families::Linear& linear : adapted) {
      if (LiesInModule(linear.path + ".", name))
        return bad("holds " + linear.path + ", which is adapted; it is either, not both");
    }
    const bool found = std::any_of(
        layout.tensors.begin(), layout.tensors.end(),
        [&](const families::TensorShape& tensor) { return LiesInModule(tensor.name, name); });
    if (!found) return bad(NoModule(name, layout));
  }
  return OkStatus();
}

std::vector<std::string> PeftSavedNames(const std::vector<std::string>& names,
                                        const families::Layout& layout) {
  const std::set<std::string> modules = ModulesOf(layout);
  std::set<std::string> meant;
  for (const std::string& module : modules) {
    const bool is_meant = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return IsOrEndsWith(module, name);
    });
    // Its tensors are in the module around it already.
    if (is_meant && !LiesInOneOf(module, meant)) meant.insert(module);
  }
  std::set<std::string> written;
  for (const std::string& name : names) {
    std::set<std::string> own;
    bool as_it_is = true;
    for (const std::string& module : modules) {
      const bool is_own = IsOrEndsWith(module, name) && meant.contains(module);
      if (is_own) own.insert(module);
      as_it_is &= is_own == module.ends_with(name);
    }
    if (as_it_is) own = {name};
    written.insert(own.begin(), own.end());
  }
  return {written.begin(), written.end()};
}

}  // namespace graft::methods
