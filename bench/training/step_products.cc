#include "bench/training/step_products.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/randn.h>

#include "common/tasks/task_spec.h"
#include "worker/engine/kernels/products.h"

namespace graft::bench {
namespace {

using worker::engine::Product;
using Clock = std::chrono::steady_clock;
using enum families::LinearRole;

/// A product with a frozen matrix, x W^T, and what is trained beside it.
struct Frozen {
  at::Tensor weight;  ///< [out, in]
  bool of_wanted = false, needs_dx = true;
  struct Pair {
    at::Tensor a, b;  ///< [rank, in], [out, rank]
    bool of_wanted = false;
  };
  std::vector<Pair> pairs;
};

class Products : public StepProducts {
 public:
  Products(const spec::JobSpec& spec, const families::Layout& layout, bool is_bf16)
      : layout_(layout), options_(at::TensorOptions().dtype(is_bf16 ? at::kBFloat16 : at::kFloat)) {
    for (const methods::TensorSpec& tensor : spec.method->Tensors(layout, spec.task)) {
      trained_[tensor.name] = tensor.shape;
      if (tensor.trained) lowest_ = std::min(lowest_, tensor.layer);
    }
    for (int layer = 0; layer < layout.num_layers; ++layer) AddLayer(layer);
    for (const families::HeadLinear& linear : spec.method->HeadFor(layout, spec.task))
      head_.push_back({.weight = Draw({linear.out, linear.in}), .of_wanted = true, .pairs = {}});
    at_once_ = tasks::RowsAtOnce(spec.task.kind, head_.empty() ? 1 : head_.back().weight.size(0));
  }

  ProductTime Run(const StepRows& rows) override {
    const at::NoGradGuard no_grad;
    Reserve(rows);
    const auto start = Clock::now();
    const std::clock_t processor = std::clock();
    for (const Frozen& frozen : layers_) Forward(frozen, rows);
    for (int64_t begin = 0; begin < rows.wanted; begin += at_once_) {
      const int64_t count = std::min(at_once_, rows.wanted - begin);
      const StepRows part = {count, count};
      for (const Frozen& frozen : head_) Forward(frozen, part), Backward(frozen, part);
    }
    for (auto frozen = layers_.rbegin(); frozen != layers_.rend(); ++frozen)
      Backward(*frozen, rows);
    return {.seconds = std::chrono::duration<double>(Clock::now() - start).count(),
            .cpu_seconds = static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC};
  }

 private:
  at::Tensor Draw(at::IntArrayRef shape) const { return at::randn(shape, options_); }

  void AddLayer(int layer) {
    const bool is_last = layer + 1 == layout_.num_layers;
    // A decoder's last layer needs keys and values of all tokens, and the rest of the wanted.
    if (is_last) {
      Add(layer, {kKey, kValue}, false);
      Add(layer, {kQuery}, true);
    } else {
      Add(layer, {kQuery, kKey, kValue}, false);
    }
    Add(layer, {kAttentionOutput}, is_last);
    if (layout_.gated()) {
      Add(layer, {kGate, kUp}, is_last);
    } else {
      Add(layer, {kUp}, is_last);
    }
    Add(layer, {kDown}, is_last);
  }

  void Add(int layer, const std::vector<families::LinearRole>& roles, bool of_wanted) {
    Frozen frozen{.weight = {}, .of_wanted = of_wanted, .pairs = {}};
    int64_t out = 0, in = 0;
    for (const families::LinearRole role : roles) {
      const families::Linear& linear = layout_.linears[layout_.LinearAt(layer, role)];
      out += linear.out;
      in = linear.in;
      const auto a = trained_.find(linear.path + ".lora_A.weight");
      const auto b = trained_.find(linear.path + ".lora_B.weight");
      if (a != trained_.end() && b != trained_.end())
        frozen.pairs.push_back({Draw(a->second), Draw(b->second), of_wanted});
    }
    frozen.weight = Draw({out, in});
    // The input of the lowest trained layer's first products needs no gradient.
    const bool is_first = std::ranges::find(roles, kQuery) != roles.end() ||
                          std::ranges::find(roles, kValue) != roles.end();
    frozen.needs_dx = layer > lowest_ || (layer == lowest_ && !is_first);
    layers_.push_back(std::move(frozen));
  }

  /// Operands of all widths, so that none is made while the clock runs.
  void Reserve(const StepRows& rows) {
    const auto keep = [&](int64_t width, int64_t count) {
      at::Tensor& operand = operands_[width];
      if (!operand.defined() || operand.size(0) < count) operand = Draw({count, width});
    };
    for (const auto* list : {&layers_, &head_}) {
      for (const Frozen& frozen : *list) {
        const int64_t count = frozen.of_wanted ? rows.wanted : rows.rows;
        for (const int64_t width : {frozen.weight.size(0), frozen.weight.size(1)})
          keep(width, list == &head_ ? std::min(count, at_once_) : count);
        for (const Frozen::Pair& pair : frozen.pairs) {
          for (const int64_t width : {pair.b.size(0), pair.b.size(1)}) keep(width, count);
        }
      }
    }
  }
  at::Tensor Operand(int64_t width, int64_t count) const {
    return operands_.at(width).narrow(0, 0, count);
  }

  void Forward(const Frozen& frozen, const StepRows& rows) const {
    const int64_t count = frozen.of_wanted ? rows.wanted : rows.rows;
    const at::Tensor x = Operand(frozen.weight.size(1), count);
    (void)Product(x, frozen.weight.t());
    for (const Frozen::Pair& pair : frozen.pairs) (void)Product(Product(x, pair.a.t()), pair.b.t());
  }

  void Backward(const Frozen& frozen, const StepRows& rows) const {
    const int64_t count = frozen.of_wanted ? rows.wanted : rows.rows;
    const at::Tensor dy = Operand(frozen.weight.size(0), count);
    const at::Tensor x = Operand(frozen.weight.size(1), count);
    if (frozen.needs_dx) (void)Product(dy, frozen.weight);
    for (const Frozen::Pair& pair : frozen.pairs) {
      const at::Tensor its = Operand(pair.b.size(0), count);
      const at::Tensor u = Operand(pair.b.size(1), count);
      const at::Tensor du = Product(its, pair.b);
      (void)Product(du.t(), x);
      (void)Product(its.t(), u);
      if (frozen.needs_dx) (void)Product(du, pair.a);
    }
  }

  const families::Layout& layout_;
  const at::TensorOptions options_;
  std::map<std::string, std::vector<int64_t>> trained_;
  int lowest_ = std::numeric_limits<int>::max();
  int64_t at_once_ = 1;
  std::vector<Frozen> layers_, head_;
  std::map<int64_t, at::Tensor> operands_;  ///< By width.
};

}  // namespace

StatusOr<std::unique_ptr<StepProducts>> StepProducts::Create(const spec::JobSpec& spec,
                                                             const families::Layout& layout,
                                                             bool is_bf16) {
  if (spec.method->name() != "lora" || spec.task.kind != tasks::Kind::kCausalLanguageModeling)
    return UnimplementedError("products are counted for language models' LoRA only");
  return std::unique_ptr<StepProducts>(std::make_unique<Products>(spec, layout, is_bf16));
}

}  // namespace graft::bench
