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
  /// `line` is where it stands.
  std::optional<int32_t> Find(const std::string& name, int64_t line = 0);

  size_t size() const { return names_.size(); }
  /// True if the names were given, not read from data.
  bool is_fixed() const { return is_fixed_; }
  /// From now on only known names are found.
  void Close() { is_closed_ = true; }

  /// A known name that is one label with `name`, which isn't known (see SameLabelKey); else one
  /// that is much like it (AlikeLabelKey); nullopt if there is none. Requires: the table is closed.
  struct Twin {
    size_t index = 0;
    bool is_same = false;
  };
  std::optional<Twin> FindTwin(std::string_view name);

  /// Sorts the names, unless they were fixed: by value if all are numbers ("2" before "10"), else
  /// by bytes. Returns the new index of each old one. Called once, last.
  std::vector<int32_t> Sort();

  /// In index order.
  const std::vector<std::string>& names() const { return names_; }
  /// The first line of each; 0 where the name was given.
  const std::vector<int64_t>& first_lines() const { return first_lines_; }

 private:
  const bool is_fixed_;
  bool is_closed_;
  std::vector<std::string> names_;
  std::vector<int64_t> first_lines_;
  std::map<std::string, int32_t, std::less<>> index_;
  /// Keys of all names, made when first asked for.
  std::map<std::string, size_t> same_keys_, alike_keys_;
};

}  // namespace graft::datasets
