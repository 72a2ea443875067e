#pragma once
/// The shapes of the generated tables, and binary searches in them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

namespace graft::tokenizers::unicode {

struct Range {
  uint32_t first, last;
};
struct ClassRange {
  uint32_t first, last;
  uint8_t combining_class;
};
/// What a code point becomes: `length` of a pool's code points from `offset` on.
struct Mapping {
  uint32_t code, offset, length;
};
struct Composition {
  uint32_t first, second, composed;
};

/// The range that holds `code`, null if there is none. Requires: sorted.
template <typename R, size_t N>
const R* Find(const R (&table)[N], uint32_t code) {
  const R* found = std::upper_bound(std::begin(table), std::end(table), code,
                                    [](uint32_t c, const R& range) { return c < range.first; });
  if (found == std::begin(table)) return nullptr;
  --found;
  return code <= found->last ? found : nullptr;
}

/// Empty if `code` becomes nothing else. Requires: sorted.
template <size_t N>
std::span<const uint32_t> Map(const Mapping (&table)[N], const uint32_t* pool, uint32_t code) {
  const Mapping* found =
      std::lower_bound(std::begin(table), std::end(table), code,
                       [](const Mapping& mapping, uint32_t c) { return mapping.code < c; });
  if (found == std::end(table) || found->code != code) return {};
  return {pool + found->offset, found->length};
}

}  // namespace graft::tokenizers::unicode
