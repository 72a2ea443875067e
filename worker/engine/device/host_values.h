#pragma once
/// Numbers that the host computed, where passes read them.

#include <algorithm>
#include <iterator>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// A container's numbers as a tensor of T on `device`. Shapes: returns [their number].
template <typename T, typename Numbers>
at::Tensor ToDevice(const Numbers& numbers, at::Device device) {
  const auto count = static_cast<int64_t>(std::size(numbers));
  const at::Tensor host = at::empty({count}, c10::CppTypeToScalarType<T>::value);
  std::transform(std::begin(numbers), std::end(numbers), host.mutable_data_ptr<T>(),
                 [](auto number) { return static_cast<T>(number); });
  return host.to(device);
}

}  // namespace graft::worker::engine
