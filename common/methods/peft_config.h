#pragma once
/// PEFT's adapter_config.json for LoRA: its fields, and which modules it says that it adapts.

#include <optional>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/methods/module_pattern.h"

namespace graft::methods {

/// PEFT's rule for a list: the whole path, or its end behind a dot.
inline bool IsOrEndsWith(const std::string& path, const std::string& name) {
  return path == name || path.ends_with("." + name);
}

/// The fields that are the same in every folder that graft writes.
Json ConstantPeftFields();

/// Errors: InvalidArgument for a field, known or not, that makes the adapter compute what graft
/// doesn't; the sentence names it with its value.
Status CheckPeftFields(const Json& config);

/// Which modules the config adapts: target_modules, exclude_modules, layers_to_transform,
/// layers_pattern and modules_to_save, by PEFT's rules. Source: peft 0.21 tuners/tuners_utils.py,
/// check_target_module_exists.
class PeftTargets {
 public:
  /// Errors: InvalidArgument or Unimplemented if a field isn't of its type or its regular
  /// expression isn't read.
  static StatusOr<PeftTargets> Parse(const Json& config);

  /// False if the config leaves the modules to PEFT ("all-linear", or no target_modules): then what
  /// the file holds says it alone.
  bool known() const { return names_.has_value() || pattern_.has_value(); }
  /// The list of names; empty if it isn't a list.
  const std::optional<std::vector<std::string>>& names() const { return names_; }
  bool Adapts(const std::string& path) const;

 private:
  bool Excludes(const std::string& path) const;
  bool InLayers(const std::string& path) const;

  std::optional<std::vector<std::string>> names_;
  std::optional<ModulePattern> pattern_;
  std::vector<std::string> excluded_;
  std::optional<ModulePattern> excluded_pattern_;
  std::vector<ModulePattern> saved_;  ///< modules_to_save: never adapted.
  std::optional<std::vector<int64_t>> layers_;
  /// Reads "...layer.3." as far as the number. Empty: any name in front of the number will do.
  std::vector<ModulePattern> layer_patterns_;
};

/// A value by module: rank_pattern and alpha_pattern, whose first key that matches wins.
class PeftPattern {
 public:
  /// `field` is null or an object of numbers, in the file's order.
  static StatusOr<PeftPattern> Parse(const OrderedJson& field, const std::string& what);
  std::optional<Json> Find(const std::string& path) const;

 private:
  std::vector<std::pair<ModulePattern, Json>> entries_;
};

}  // namespace graft::methods
