#pragma once
/// The methods of Python's types. Thread safety: free functions over constant tables.

#include <span>
#include <string_view>

#include "common/templates/library/native.h"

namespace graft::templates {

std::span<const Native> TextMethods();
std::span<const Native> SequenceMethods();  ///< Of lists, tuples and ranges.
std::span<const Native> DictMethods();

/// Names of Python's that are in no table above: methods that aren't built, and those that change
/// what they belong to. Each apart by spaces, with one at either end.
inline constexpr std::string_view kMissingTextMethods =
    " casefold center encode expandtabs format_map isascii isidentifier isprintable istitle ljust "
    "maketrans rjust swapcase translate zfill ";
inline constexpr std::string_view kMissingDictMethods = " fromkeys ";
inline constexpr std::string_view kMissingRangeAttributes = " start stop step ";
inline constexpr std::string_view kMissingViewAttributes = " isdisjoint mapping ";
inline constexpr std::string_view kMissingNumberAttributes =
    " as_integer_ratio bit_count bit_length conjugate denominator from_bytes fromhex hex imag "
    "is_integer numerator real to_bytes ";
inline constexpr std::string_view kUnsafeListMethods =
    " append clear extend insert pop remove reverse sort ";
inline constexpr std::string_view kUnsafeDictMethods = " clear pop popitem setdefault update ";

}  // namespace graft::templates
