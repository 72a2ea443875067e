#include "common/artifacts/finite.h"

#include <cstdint>
#include <cstring>

namespace graft::artifacts {
namespace {

/// Tests each word of type Word: fails where (word & mask) >= limit, mask dropping the sign.
template <typename Word>
bool AllBelow(std::string_view data, Word mask, Word limit) {
  for (size_t i = 0; i + sizeof(Word) <= data.size(); i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, data.data() + i, sizeof(Word));
    if ((word & mask) >= limit) return false;
  }
  return true;
}

}  // namespace

StatusOr<bool> AllFinite(std::string_view dtype, std::string_view data, const std::string& where) {
  // 0x7F7F8000 is the first fp32 that rounds (half to even) to a bf16 infinity; the bound for
  // doubles is the first that rounds to this fp32.
  if (dtype == "F32") return AllBelow<uint32_t>(data, 0x7FFFFFFFU, 0x7F7F8000U);
  if (dtype == "BF16") return AllBelow<uint16_t>(data, 0x7FFF, 0x7F80);
  if (dtype == "F16") return AllBelow<uint16_t>(data, 0x7FFF, 0x7C00);
  if (dtype == "F64") return AllBelow<uint64_t>(data, 0x7FFFFFFFFFFFFFFFULL, 0x47EFEFFFF0000000ULL);
  return InvalidArgumentError(where + " has the type " + std::string(dtype) +
                              "; adapters hold F32, F16, BF16 or F64");
}

}  // namespace graft::artifacts
