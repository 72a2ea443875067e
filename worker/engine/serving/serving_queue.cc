#include "worker/engine/serving/serving_queue.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "worker/engine/device.h"
#include "worker/engine/head.h"
#include "worker/engine/training/evaluation.h"
#include "worker/engine/training/layer_walk.h"

namespace graft::worker::engine {
namespace {

/// Inputs that may share a pass have equal keys: one base, one kind of output; an adapter that
/// replaces base weights runs alone.
auto PassKey(const ServingRequest& request) {
  const bool alone = request.version != nullptr && request.version->adapter->overrides_base();
  return std::make_tuple(request.on.base.get(), request.embed,
                         alone ? request.version.get() : nullptr);
}

const Adapter* Owner(const ServingRequest& request) {
  return request.version != nullptr ? request.version->adapter.get() : nullptr;
}

std::vector<float> ToVector(const at::Tensor& row) {
  const at::Tensor host = row.to(at::kFloat).cpu().contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

/// Mean (or first) of a sequence's rows in fp32.
at::Tensor PoolSequence(const at::Tensor& hidden_TD, const PackedBatch& batch, int64_t s,
                        Pooling pooling) {
  const int64_t rows = pooling == Pooling::kMean ? batch.length(s) : 1;
  return hidden_TD.narrow(0, batch.offsets[s], rows).to(at::kFloat).mean(0);
}

}  // namespace

Status NobodyWaits() { return CancelledError("nobody waits for the answer any more"); }

Status ServingQueue::Push(std::shared_ptr<ServingRequest> request) {
  const size_t inputs = request->inputs.size();
  const std::lock_guard lock(mutex_);
  if (waiting_ + inputs > max_waiting_) {
    return ResourceExhaustedError(std::to_string(waiting_) +
                                  " inputs already wait on this worker; try again later");
  }
  request->remaining = inputs;
  request->outputs.resize(inputs);
  requests_.push_back(std::move(request));
  waiting_ += inputs;
  return OkStatus();
}

ServingQueue::Items ServingQueue::TakeAll() {
  Items items;
  {
    const std::lock_guard lock(mutex_);
    for (const std::shared_ptr<ServingRequest>& request : requests_) {
      for (size_t i = 0; i < request->inputs.size(); ++i) items.push_back({request, i});
    }
    requests_.clear();
  }
  // Within an owner the order of arrival stays.
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return std::make_pair(PassKey(*a.request), Owner(*a.request)) <
           std::make_pair(PassKey(*b.request), Owner(*b.request));
  });
  return items;
}

ServingQueue::Items ServingQueue::NextPass(const Items& items, size_t& begin, int64_t& rows) {
  Items pass;
  for (; begin < items.size(); ++begin) {
    const Item& item = items[begin];
    ServingRequest& request = *item.request;
    if (request.done != nullptr && request.abandoned && request.abandoned())
      std::exchange(request.done, nullptr)(NobodyWaits());
    if (request.done == nullptr) {
      --waiting_;
      continue;
    }
    const auto length = static_cast<int64_t>(request.inputs[item.input].ids.size());
    if (!pass.empty() &&
        (PassKey(request) != PassKey(*pass.front().request) || rows + length > kForwardTokens)) {
      break;
    }
    rows += length;
    pass.push_back(item);
  }
  return pass;
}

Status ServingQueue::RunGuarded(const Items& pass) {
  return Guarded([&]() -> Status {
    RunPass(pass);
    return OkStatus();
  });
}

void ServingQueue::Settle(const Item& item, const Status& status) {
  ServingRequest& request = *item.request;
  if (request.done == nullptr) return;  // Already failed.
  if (!status.ok()) {
    std::exchange(request.done, nullptr)(status);
  } else if (--request.remaining == 0) {
    std::exchange(request.done, nullptr)(OkStatus());
  }
}

void ServingQueue::ServeWaiting(const std::function<void(int64_t)>& on_pass) {
  if (empty()) return;
  const Items items = TakeAll();
  for (size_t begin = 0; begin < items.size();) {
    int64_t rows = 0;
    const Items pass = NextPass(items, begin, rows);
    if (pass.empty()) continue;
    const Status status = RunGuarded(pass);
    if (on_pass) on_pass(rows);
    waiting_ -= pass.size();
    const bool shared = std::ranges::any_of(
        pass, [&](const Item& item) { return item.request != pass.front().request; });
    for (size_t at = 0; at < pass.size();) {
      size_t end = at;
      while (end < pass.size() && pass[end].request == pass[at].request) ++end;
      const Items own(pass.begin() + static_cast<ptrdiff_t>(at),
                      pass.begin() + static_cast<ptrdiff_t>(end));
      const Status own_status = !status.ok() && shared ? RunGuarded(own) : status;
      for (const Item& item : own) Settle(item, own_status);
      at = end;
    }
  }
}

void ServingQueue::RunPass(const Items& items) {
  const at::NoGradGuard no_grad;
  const ServingRequest& first = *items.front().request;
  std::vector<Sequence> sequences;
  std::vector<const Adapter*> owners;
  for (const Item& item : items) {
    const tokenizers::Encoding& encoding = item.request->inputs[item.input];
    sequences.push_back({encoding.ids.data(), encoding.type_ids.data(),
                         static_cast<int64_t>(encoding.ids.size()), 0});
    owners.push_back(Owner(*item.request));
  }
  const Base& base = *first.on.base;
  const PackedBatch batch = Pack(sequences, owners, base.device());
  const WeightSet weights(base, Owner(first));
  const Pass pass(batch, weights, {});
  const at::Tensor hidden = Forward(*first.on.model, pass, /*pooled=*/!first.embed, [] {});
  if (first.embed) {
    for (size_t i = 0; i < items.size(); ++i) {
      at::Tensor embedding = PoolSequence(hidden, batch, static_cast<int64_t>(i), base.pooling());
      if (items[i].request->normalize)
        embedding = embedding / at::linalg_vector_norm(embedding).clamp_min(1e-12);
      items[i].request->outputs[items[i].input] = ToVector(embedding);
    }
    return;
  }
  for (const Segment& segment : batch.segments) {
    const at::Tensor logits = HeadLogits(
        hidden.narrow(0, segment.sequence_begin, segment.sequence_end - segment.sequence_begin),
        weights, *segment.adapter, base.layout());
    for (int64_t s = segment.sequence_begin; s < segment.sequence_end; ++s) {
      const Item& item = items[static_cast<size_t>(s)];
      item.request->outputs[item.input] = ToVector(logits.select(0, s - segment.sequence_begin));
    }
  }
}

void ServingQueue::FailAll(const Status& status) {
  std::deque<std::shared_ptr<ServingRequest>> requests;
  {
    const std::lock_guard lock(mutex_);
    requests.swap(requests_);
    waiting_ = 0;
  }
  for (const auto& request : requests) std::exchange(request->done, nullptr)(status);
}

}  // namespace graft::worker::engine
