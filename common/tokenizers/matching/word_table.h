#pragma once
/// Texts of a vocabulary by their bytes: one probe of a hash table a look, without a copy of the
/// text that is looked for.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace graft::tokenizers {

/// Thread safety: const after the last Insert.
class WordTable {
 public:
  static constexpr int32_t kNone = -1;

  /// `num_texts` are about to be inserted.
  explicit WordTable(size_t num_texts = 0);

  /// Requires: `text` isn't there yet, `value` isn't kNone; all texts together have less than 4
  /// GiB.
  void Insert(std::string_view text, int32_t value);
  /// kNone if `text` isn't there.
  int32_t Find(std::string_view text) const;

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t offset = 0, length = 0;
    int32_t value = kNone;
  };
  void Grow();

  std::string bytes_;
  std::vector<Slot> slots_;  ///< Open addressing; a power of two, at most half full.
  size_t num_texts_ = 0, longest_ = 0;
};

}  // namespace graft::tokenizers
