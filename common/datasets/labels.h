#pragma once
/// Label names to indices while a dataset is read.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace graft::datasets {

class LabelTable {
 public:
  /// With fixed names the table is closed from the start, and its order is theirs.
  explicit LabelTable(const std::vector<std::string>& fixed_names);

  /// Index of `name`, which is added if the table is open; nullopt if it is closed and lacks it.
  std::optional<int32_t> Find(const std::string& name);

  size_t size() const { return names_.size(); }
  /// From now on only known names are found.
  void Close() { is_closed_ = true; }

  /// Sorts the names, unless they were fixed: by value if all are integers ("2" before "10"), else
  /// by bytes. Returns the new index of each old one. Called once, last.
  std::vector<int32_t> Sort();

  /// In index order.
  const std::vector<std::string>& names() const { return names_; }

 private:
  const bool is_fixed_;
  bool is_closed_;
  std::vector<std::string> names_;
  std::map<std::string, int32_t, std::less<>> index_;
};

/// The value of an optional minus and up to 18 digits; nullopt for anything else.
std::optional<int64_t> IntegerLabel(std::string_view name);

}  // namespace graft::datasets
