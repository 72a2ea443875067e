#pragma once
/// Unicode's canonical normal forms, as HuggingFace's Rust library has them: those of Unicode 9.0.
/// Thread safety: free functions.
/// Source: Unicode standard, section 3.11 and 3.12; generate.py asks the library for the tables.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace graft::tokenizers::unicode {

/// Canonical decomposition (NFD), with canonical ordering of marks.
std::vector<uint32_t> Decompose(const std::vector<uint32_t>& text);

/// Canonical composition (NFC) of UTF-8. Invalid bytes become U+FFFD.
std::string Composed(std::string_view text);

}  // namespace graft::tokenizers::unicode
