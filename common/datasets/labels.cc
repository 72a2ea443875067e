#include "common/datasets/labels.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/datasets/label_keys.h"

namespace graft::datasets {

LabelTable::LabelTable(const std::vector<std::string>& fixed_names)
    : is_fixed_(!fixed_names.empty()),
      is_closed_(is_fixed_),
      names_(fixed_names),
      first_lines_(fixed_names.size(), 0) {
  for (size_t i = 0; i < names_.size(); ++i) index_.emplace(names_[i], static_cast<int32_t>(i));
}

std::optional<int32_t> LabelTable::Find(const std::string& name, int64_t line) {
  if (const auto at = index_.find(name); at != index_.end()) return at->second;
  if (is_closed_) return std::nullopt;
  const auto index = static_cast<int32_t>(names_.size());
  names_.push_back(name);
  first_lines_.push_back(line);
  index_.emplace(name, index);
  return index;
}

std::optional<LabelTable::Twin> LabelTable::FindTwin(std::string_view name) {
  if (same_keys_.empty()) {
    for (size_t i = 0; i < names_.size(); ++i) {
      same_keys_.emplace(SameLabelKey(names_[i]), i);
      alike_keys_.emplace(AlikeLabelKey(names_[i]), i);
    }
  }
  if (const auto at = same_keys_.find(SameLabelKey(name)); at != same_keys_.end())
    return Twin{at->second, true};
  if (const auto at = alike_keys_.find(AlikeLabelKey(name)); at != alike_keys_.end())
    return Twin{at->second, false};
  return std::nullopt;
}

std::vector<int32_t> LabelTable::Sort() {
  std::vector<int32_t> order(names_.size());
  std::iota(order.begin(), order.end(), 0);
  if (!is_fixed_) {
    const auto name = [&](int32_t i) -> const std::string& {
      return names_[static_cast<size_t>(i)];
    };
    const bool all_numbers = std::all_of(names_.begin(), names_.end(), [](const std::string& n) {
      return NumberLabel(n).has_value();
    });
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return all_numbers ? IsSmallerNumber(name(a), name(b)) : name(a) < name(b);
    });
  }
  std::vector<int32_t> new_index(order.size());
  std::vector<std::string> sorted;
  std::vector<int64_t> lines;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto old = static_cast<size_t>(order[i]);
    new_index[old] = static_cast<int32_t>(i);
    sorted.push_back(names_[old]);
    lines.push_back(first_lines_[old]);
  }
  names_ = std::move(sorted);
  first_lines_ = std::move(lines);
  for (auto& [name, index] : index_) index = new_index[static_cast<size_t>(index)];
  same_keys_.clear();
  alike_keys_.clear();
  return new_index;
}

}  // namespace graft::datasets
