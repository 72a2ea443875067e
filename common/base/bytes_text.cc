#include "common/base/bytes_text.h"

#include <cstdio>

namespace graft {

std::string BytesText(int64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto amount = static_cast<double>(bytes) / 1024;
  const char* unit = "KiB";
  // What would be rounded to 1024.0 is 1.0 of the next.
  for (const char* larger : {"MiB", "GiB"}) {
    if (amount < 1023.95) break;
    amount /= 1024;
    unit = larger;
  }
  char text[64];
  std::snprintf(text, sizeof(text), "%.1f %s", amount, unit);
  return text;
}

}  // namespace graft
