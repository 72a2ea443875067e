#pragma once
/// Bytes as tests write and show them.

#include <string>
#include <string_view>

namespace graft::server::tensorboard {

inline std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

}  // namespace graft::server::tensorboard
