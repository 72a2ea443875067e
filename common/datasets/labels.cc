#include "common/datasets/labels.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

namespace graft::datasets {

std::optional<int64_t> IntegerLabel(std::string_view name) {
  const std::string_view digits = name.substr(name.starts_with('-') ? 1 : 0);
  if (digits.empty() || digits.size() > 18) return std::nullopt;
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  int64_t value = 0;
  std::from_chars(name.data(), name.data() + name.size(), value);
  return value;
}

LabelTable::LabelTable(const std::vector<std::string>& fixed_names)
    : is_fixed_(!fixed_names.empty()), is_closed_(is_fixed_), names_(fixed_names) {
  for (size_t i = 0; i < names_.size(); ++i) index_.emplace(names_[i], static_cast<int32_t>(i));
}

std::optional<int32_t> LabelTable::Find(const std::string& name) {
  if (const auto at = index_.find(name); at != index_.end()) return at->second;
  if (is_closed_) return std::nullopt;
  const auto index = static_cast<int32_t>(names_.size());
  names_.push_back(name);
  index_.emplace(name, index);
  return index;
}

std::vector<int32_t> LabelTable::Sort() {
  std::vector<int32_t> order(names_.size());
  std::iota(order.begin(), order.end(), 0);
  if (!is_fixed_) {
    const auto name = [&](int32_t i) -> const std::string& {
      return names_[static_cast<size_t>(i)];
    };
    const bool all_integers = std::all_of(names_.begin(), names_.end(), [](const std::string& n) {
      return IntegerLabel(n).has_value();
    });
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      if (all_integers && IntegerLabel(name(a)) != IntegerLabel(name(b))) {
        return *IntegerLabel(name(a)) < *IntegerLabel(name(b));
      }
      return name(a) < name(b);
    });
  }
  std::vector<int32_t> new_index(order.size());
  std::vector<std::string> sorted;
  for (size_t i = 0; i < order.size(); ++i) {
    new_index[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
    sorted.push_back(names_[static_cast<size_t>(order[i])]);
  }
  names_ = std::move(sorted);
  for (auto& [name, index] : index_) index = new_index[static_cast<size_t>(index)];
  return new_index;
}

}  // namespace graft::datasets
