#include "worker/engine/device/convert.h"

#include <cstring>
#include <string>

namespace graft::worker::engine {

StatusOr<at::Tensor> BytesToFloat(std::string_view dtype, const std::vector<int64_t>& shape,
                                  std::string_view bytes) {
  at::ScalarType type;
  if (dtype == "F32") {
    type = at::kFloat;
  } else if (dtype == "BF16") {
    type = at::kBFloat16;
  } else if (dtype == "F16") {
    type = at::kHalf;
  } else if (dtype == "F64") {
    type = at::kDouble;
  } else {
    return InvalidArgumentError("weights of type " + std::string(dtype) +
                                " can't be used; F32, F16, BF16 and F64 can");
  }
  // Copied, since a file's tensors are only 8-byte aligned.
  at::Tensor raw = at::empty(shape, type);
  if (raw.nbytes() != bytes.size())
    return InvalidArgumentError("a tensor's bytes don't fit its shape");
  if (!bytes.empty()) std::memcpy(raw.mutable_data_ptr(), bytes.data(), bytes.size());
  return raw.to(at::kFloat);
}

}  // namespace graft::worker::engine
