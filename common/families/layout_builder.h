#pragma once
/// Adds a family's parts to a layout, each with its tensors.

#include <string>
#include <utility>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {

/// Borrows the layout.
class LayoutBuilder {
 public:
  explicit LayoutBuilder(Layout& layout) : layout_(layout) {}

  void AddTensor(const std::string& name, std::vector<int64_t> shape, int layer,
                 TensorRole role = TensorRole::kMatrix) {
    layout_.tensors.push_back({name, std::move(shape), layer, role});
  }
  void AddLinear(const std::string& path, int64_t in, int64_t out, int layer, LinearRole role,
                 bool bias = true) {
    layout_.linears.push_back({path, in, out, layer, role, bias});
    AddTensor(path + ".weight", {out, in}, layer);
    if (bias) AddTensor(path + ".bias", {out}, layer, TensorRole::kBias);
  }
  /// A layer norm over the hidden width.
  void AddNorm(const std::string& path, int layer) {
    AddTensor(path + ".weight", {layout_.hidden}, layer, TensorRole::kNorm);
    AddTensor(path + ".bias", {layout_.hidden}, layer, TensorRole::kNorm);
  }
  /// An RMS norm over `width`.
  void AddRmsNorm(const std::string& path, int64_t width, int layer) {
    AddTensor(path + ".weight", {width}, layer, TensorRole::kNorm);
  }

 private:
  Layout& layout_;
};

}  // namespace graft::families
