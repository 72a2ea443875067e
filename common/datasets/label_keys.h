#pragma once
/// When two labels are one, or look as if they were: each is brought to a key, and keys are
/// compared. Pure functions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graft::datasets {

/// Labels of one key are one label: they differ only in how Unicode writes the same characters
/// (composed or not, full width, ligatures, positional forms), in white space around them or of
/// another kind, and in characters that leave no mark.
/// Requires: `name` is UTF-8.
/// Source: Unicode's NFKC without the forms that print otherwise (superscripts, circled and
/// mathematical letters, fractions).
std::string SameLabelKey(std::string_view name);

/// Labels of one key may well be one: beyond the above they differ only in case, spaces, dashes,
/// hyphens between letters, apostrophes, and forms that print otherwise.
std::string AlikeLabelKey(std::string_view name);

/// Labels of one key look alike, in letters of two alphabets.
std::string LookLabelKey(std::string_view name);

/// The number that `name` is, as people write numbers: digits with a sign, a decimal point or
/// comma, an exponent, white space around; nullopt for anything else.
std::optional<double> NumberLabel(std::string_view name);

/// The value of an optional minus and up to 18 digits; nullopt for anything else.
std::optional<int64_t> IntegerLabel(std::string_view name);

/// Decides between number-like labels: by value, "2" before "10" before "10.5"; then by bytes.
/// A strict order over all of NumberLabel.
bool IsSmallerNumber(std::string_view a, std::string_view b);

}  // namespace graft::datasets
