#include "worker/engine/adapters/parameters.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

namespace graft::worker::engine {
namespace {

constexpr int64_t kAlign = 16;

int64_t NumElements(const methods::TensorSpec& spec) {
  return std::accumulate(spec.shape.begin(), spec.shape.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

ParameterSet::ParameterSet(std::vector<methods::TensorSpec> specs, at::Device device)
    : specs_(std::move(specs)), offsets_(specs_.size()) {
  int64_t total = 0;
  const auto place = [&](auto&& belongs) {
    for (size_t i = 0; i < specs_.size(); ++i) {
      if (!belongs(specs_[i])) continue;
      offsets_[i] = total;
      total += (NumElements(specs_[i]) + kAlign - 1) / kAlign * kAlign;
    }
    return total;
  };
  num_decayed_ = place([](const auto& s) { return s.trained && s.decay; });
  num_trained_ = place([](const auto& s) { return s.trained && !s.decay; });
  place([](const auto& s) { return !s.trained; });
  for (size_t i = 0; i < specs_.size(); ++i) index_[specs_[i].name] = i;
  flat_P_ = at::zeros({total}, at::TensorOptions().dtype(at::kFloat).device(device));
  MakeViews();
}

void ParameterSet::MakeViews() {
  views_.resize(specs_.size());
  for (size_t i = 0; i < specs_.size(); ++i) {
    views_[i] =
        flat_P_.narrow(0, offsets_[i], NumElements(specs_[i])).view(specs_[i].shape).detach();
  }
}

const at::Tensor& ParameterSet::Get(std::string_view name) const {
  return views_[index_.at(std::string(name))];
}

void ParameterSet::EnableGrad() {
  grad_P_ = at::zeros({num_trained_}, flat_P_.options());
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (!specs_[i].trained) continue;
    views_[i].requires_grad_(true);
    // Autograd adds into an existing gradient in place, so all gradients land in the flat buffer.
    views_[i].mutable_grad() =
        grad_P_.narrow(0, offsets_[i], NumElements(specs_[i])).view(specs_[i].shape).detach();
  }
}

void ParameterSet::Keep(const std::function<bool(const methods::TensorSpec&)>& keep) {
  std::vector<methods::TensorSpec> kept;
  std::ranges::copy_if(specs_, std::back_inserter(kept), keep);
  ParameterSet smaller(std::move(kept), flat_P_.device());
  smaller.flat_P_ = smaller.flat_P_.to(flat_P_.scalar_type());
  smaller.MakeViews();
  for (const methods::TensorSpec& spec : smaller.specs_)
    smaller.views_[smaller.index_.at(spec.name)].copy_(Get(spec.name).detach());
  *this = std::move(smaller);
}

void ParameterSet::CastForServing(at::ScalarType dtype) {
  grad_P_ = at::Tensor();
  flat_P_ = flat_P_.detach().to(dtype);
  MakeViews();
}

}  // namespace graft::worker::engine
