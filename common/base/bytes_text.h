#pragma once
/// Amounts of memory as people read them.

#include <cstdint>
#include <string>

namespace graft {

/// "812 B", "3.1 KiB", "90.0 MiB", "1.5 GiB". Requires: bytes >= 0.
std::string BytesText(int64_t bytes);

}  // namespace graft
