#include "worker/engine/methods/lora.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>

#include "worker/engine/adapters/initialise.h"
#include "worker/engine/adapters/serving_copies.h"
#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/dropout.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// y (changed in place) += scaling * (x A^T) B^T at each slice's columns, with its own scaling.
/// Backward never forms a full-size weight gradient and computes dY B (rank wide) once for dA and
/// dX.
class LoraFunction : public torch::autograd::Function<LoraFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, at::Tensor y, const at::Tensor& x,
                            std::vector<double> scalings, std::vector<int64_t> columns,
                            at::TensorList a_and_b) {
    std::vector<at::Tensor> saved = {x};
    for (size_t i = 0; i * 2 < columns.size(); ++i) {
      const at::Tensor a = a_and_b[2 * i].to(x.scalar_type());
      const at::Tensor b = a_and_b[2 * i + 1].to(x.scalar_type());
      const at::Tensor u_TR = Product(x, a.t());
      AddProduct(y.narrow(1, columns[2 * i], columns[2 * i + 1] - columns[2 * i]), u_TR, b.t(),
                 scalings[i]);
      saved.insert(saved.end(), {a, b, u_TR});
    }
    ctx->mark_dirty({y});
    ctx->save_for_backward(saved);
    ctx->saved_data["scalings"] = scalings;
    ctx->saved_data["columns"] = columns;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto scalings = ctx->saved_data["scalings"].toDoubleVector();
    const auto columns = ctx->saved_data["columns"].toIntVector();
    const at::Tensor& x = saved[0];
    const at::Tensor dy = grads[0].to(x.scalar_type());
    const bool needs_dx = ctx->needs_input_grad(1);
    at::Tensor dx;
    variable_list result = {grads[0], at::Tensor(), at::Tensor(), at::Tensor()};
    for (size_t i = 0; i * 2 < columns.size(); ++i) {
      const at::Tensor& a = saved[1 + 3 * i];
      const at::Tensor& b = saved[2 + 3 * i];
      const at::Tensor& u_TR = saved[3 + 3 * i];
      const double scaling = scalings[i];
      const at::Tensor dy_slice = dy.narrow(1, columns[2 * i], columns[2 * i + 1] - columns[2 * i]);
      const at::Tensor du_TR = Product(dy_slice, b).mul_(scaling);
      // The rank's few rows in front: what is wide is read as it lies.
      const auto turned = [](const at::Tensor& narrow) { return narrow.t().contiguous(); };
      result.push_back(Product(turned(du_TR), x).to(at::kFloat));
      result.push_back(Product(turned(u_TR), dy_slice).t().to(at::kFloat).mul_(scaling));
      if (!needs_dx) continue;
      if (dx.defined()) {
        AddProduct(dx, du_TR, a);
      } else {
        dx = Product(du_TR, a);
      }
    }
    result[1] = dx;
    return result;
  }
};

}  // namespace

LoraAdapter::LoraAdapter(std::shared_ptr<const methods::LoraSpec> spec,
                         const families::Layout& layout, tasks::TaskSpec task, at::Device device)
    : Adapter(spec, layout, std::move(task), device), spec_(std::move(spec)) {
  for (const families::Linear& linear : layout.linears) {
    paths_.push_back(spec_->Targets(linear) ? linear.path : std::string());
  }
  first_head_ = paths_.size();
  for (const families::HeadLinear& linear : head()) {
    const bool adapted = parameters_.Has(linear.path + ".lora_A.weight");
    paths_.push_back(adapted ? linear.path : std::string());
  }
  BindPairs();
}

void LoraAdapter::BindPairs() {
  pairs_.clear();
  for (const std::string& path : paths_) {
    if (path.empty() || !parameters_.Has(path + ".lora_A.weight")) {
      pairs_.emplace_back();
    } else {
      pairs_.push_back({parameters_.Get(path + ".lora_A.weight"),
                        parameters_.Get(path + ".lora_B.weight"), spec_->ScalingOf(path)});
    }
  }
}

void LoraAdapter::PrepareServing(at::ScalarType compute) {
  const at::NoGradGuard no_grad;
  Adapter::PrepareServing(compute);
  BindPairs();
  std::unordered_set<std::string> copied;
  std::vector<at::Tensor*> tensors;
  serving_.resize(first_head_);
  for (size_t i = 0; i < first_head_; ++i) {
    const Pair& pair = pairs_[i];
    if (!pair.a_RD.defined()) continue;
    serving_[i] = {pair.a_RD, pair.b_DR.t(), pair.scaling};
    // A layer's own lie together, as its passes read them.
    tensors.insert(tensors.end(), {&serving_[i].a_RD, &serving_[i].b_RF});
    copied.insert({paths_[i] + ".lora_A.weight", paths_[i] + ".lora_B.weight"});
  }
  if (!tensors.empty()) serving_P_ = CopyForServing(tensors, compute);
  parameters_.Keep([&](const methods::TensorSpec& spec) { return !copied.contains(spec.name); });
  BindPairs();
}

Adapter::Bytes LoraAdapter::bytes() const {
  Bytes bytes = Adapter::bytes();
  if (serving_P_.defined()) bytes.buffers += static_cast<int64_t>(serving_P_.nbytes());
  for (const LowRank& change : serving_) {
    if (change.a_RD.defined())
      bytes.tensors += static_cast<int64_t>(change.a_RD.nbytes() + change.b_RF.nbytes());
  }
  return bytes;
}

void LoraAdapter::Initialise(uint64_t seed) {
  for (const Pair& pair : pairs_) {
    if (!pair.a_RD.defined()) continue;
    const double bound = 1.0 / std::sqrt(static_cast<double>(pair.a_RD.size(1)));
    const auto index = static_cast<uint64_t>(&pair - pairs_.data());
    FillUniform(pair.a_RD, -bound, bound, seed, index);
    pair.b_DR.detach().zero_();
  }
}

bool LoraAdapter::WrapsLinear(const LinearSite& site) const {
  return std::ranges::any_of(site.slices, [&](const LinearSite::Slice& slice) {
    return pairs_[slice.linear].a_RD.defined() || LowRankOf(slice.linear) != nullptr;
  });
}

at::Tensor LoraAdapter::ApplyLinear(const LinearCall& call, at::Tensor y) const {
  const LinearSite& site = call.site;
  const at::Tensor& x = call.x;
  const RowContext& rows = call.rows;
  if (rows.training && spec_->dropout() > 0) {
    // PEFT draws one mask a module, so slices of one GEMM can't share a dropped input.
    for (const LinearSite::Slice& slice : site.slices) {
      const Pair& pair = pairs_[slice.linear];
      if (!pair.a_RD.defined()) continue;
      const at::Tensor dropped =
          Dropout(x, spec_->dropout(), rows.DropoutSeed(slice.linear), rows.DropoutStreams());
      y = LoraFunction::apply(y, dropped, std::vector<double>{pair.scaling},
                              std::vector<int64_t>{slice.begin, slice.end},
                              at::TensorList({pair.a_RD, pair.b_DR}));
    }
    return y;
  }
  std::vector<double> scalings;
  std::vector<int64_t> columns;
  std::vector<at::Tensor> a_and_b;
  for (const LinearSite::Slice& slice : site.slices) {
    const Pair& pair = pairs_[slice.linear];
    if (!pair.a_RD.defined()) continue;
    scalings.push_back(pair.scaling);
    columns.insert(columns.end(), {slice.begin, slice.end});
    a_and_b.insert(a_and_b.end(), {pair.a_RD, pair.b_DR});
  }
  if (columns.empty()) return y;
  return LoraFunction::apply(y, x, scalings, columns, at::TensorList(a_and_b));
}

at::Tensor LoraAdapter::ApplyHeadLinear(size_t head, const at::Tensor& x, at::Tensor y,
                                        const RowContext* rows) const {
  const size_t index = first_head_ + head;
  const Pair& pair = pairs_[index];
  if (!pair.a_RD.defined()) return y;
  const bool drops = rows != nullptr && rows->training && spec_->dropout() > 0;
  const at::Tensor input =
      drops ? Dropout(x, spec_->dropout(), rows->DropoutSeed(index), rows->DropoutStreams()) : x;
  return y + at::matmul(at::matmul(input, pair.a_RD.t()), pair.b_DR.t()) * pair.scaling;
}

}  // namespace graft::worker::engine
