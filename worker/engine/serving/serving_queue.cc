#include "worker/engine/serving/serving_queue.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <utility>

#include "common/tasks/task_spec.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/device/device.h"
#include "worker/engine/passes/forward_pass.h"
#include "worker/engine/passes/pass_memory.h"
#include "worker/engine/serving/token_scores.h"

namespace graft::worker::engine {
namespace {

const Adapter* OwnerOf(const ServingRequest& request) {
  return request.version != nullptr ? request.version->adapter.get() : nullptr;
}

/// Inputs of a pass share the base and the kind of output; an adapter that replaces base weights
/// runs alone.
PassKind KindOf(const ServingRequest& request) {
  const Adapter* alone = OwnerOf(request);
  if (alone != nullptr && !alone->overrides_base()) alone = nullptr;
  // Objects lie at multiples of four.
  return {.base = reinterpret_cast<uintptr_t>(request.on.base.get()),
          .variant = reinterpret_cast<uintptr_t>(alone) + static_cast<uintptr_t>(request.output)};
}

PassScheduler::Request ToSchedule(const ServingRequest& request) {
  PassScheduler::Request result{.kind = KindOf(request),
                                .owner = reinterpret_cast<uintptr_t>(OwnerOf(request)),
                                .lengths = {}};
  for (const tokenizers::Encoding& encoding : request.inputs)
    result.lengths.push_back(std::max<int64_t>(static_cast<int64_t>(encoding.ids.size()), 1));
  return result;
}

std::vector<float> ToVector(const at::Tensor& row) {
  const at::Tensor host = row.to(at::kFloat).cpu().contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

/// Outputs that a pass has at once. Labels are few.
PassOutputs OutputsOf(const ServingRequest& request, const std::vector<Sequence>& sequences) {
  if (request.output != ServingOutput::kTokenScores) return {};
  int64_t rows = 0;
  for (const Sequence& sequence : sequences) rows += static_cast<int64_t>(sequence.wanted.size());
  const int64_t width = request.on.base->layout().vocab_size;
  // And their exponentials.
  return {2 * std::min(rows, tasks::RowsAtOnce(tasks::Kind::kCausalLanguageModeling, width)),
          width};
}

/// Mean (or first) of a sequence's rows in fp32.
at::Tensor PoolSequence(const ForwardPass& pass, int64_t s, Pooling pooling) {
  const RowSet& rows = pass.batch.wanted;
  const int64_t count = pooling == Pooling::kMean ? rows.length(s) : 1;
  return pass.hidden_RD.narrow(0, rows.offsets[static_cast<size_t>(s)], count)
      .to(at::kFloat)
      .mean(0);
}

}  // namespace

Status NobodyWaits() { return CancelledError("nobody waits for the answer any more"); }

bool ServingQueue::Push(std::shared_ptr<ServingRequest> request) {
  const size_t inputs = request->inputs.size();
  inputs_ += static_cast<int64_t>(inputs);
  Status refused;
  {
    const std::lock_guard lock(mutex_);
    refused = closed_;
    if (waiting_ + inputs > max_waiting_) {
      refused = ResourceExhaustedError(std::to_string(waiting_) +
                                       " inputs already wait on this worker; try again later");
    }
    if (refused.ok()) {
      request->remaining = inputs;
      request->outputs.resize(inputs);
      request->best.resize(inputs);
      new_requests_.push_back(std::move(request));
      waiting_ += inputs;
      return true;
    }
  }
  std::exchange(request->done, nullptr)(refused);
  return false;
}

void ServingQueue::Admit() {
  std::deque<std::shared_ptr<ServingRequest>> requests;
  {
    const std::lock_guard lock(mutex_);
    requests.swap(new_requests_);
  }
  for (std::shared_ptr<ServingRequest>& request : requests) {
    scheduler_.Add(next_id_, ToSchedule(*request));
    requests_.emplace_hint(requests_.end(), next_id_++, std::move(request));
  }
}

void ServingQueue::DropAbandoned(uint64_t but) {
  for (auto it = requests_.begin(); it != requests_.end();) {
    const Abandoned& abandoned = it->second->abandoned;
    const bool leaves = it->first != but && abandoned && abandoned();
    it = leaves ? Finish(it, NobodyWaits()) : std::next(it);
  }
}

ServingQueue::Requests::iterator ServingQueue::Finish(Requests::iterator request,
                                                      const Status& status) {
  const std::shared_ptr<ServingRequest> finished = std::move(request->second);
  scheduler_.Remove(request->first);
  const auto next = requests_.erase(request);
  waiting_ -= finished->remaining;
  std::exchange(finished->done, nullptr)(status);
  return next;
}

void ServingQueue::Settle(uint64_t id, size_t inputs, const Status& status) {
  const auto request = requests_.find(id);
  // It failed with another text of its own, between this one's layers.
  if (request == requests_.end()) return;
  waiting_ -= inputs;
  request->second->remaining -= inputs;
  if (!status.ok() || request->second->remaining == 0) Finish(request, status);
}

int64_t ServingQueue::WaitingRows() {
  Admit();
  DropAbandoned(kNone);
  return scheduler_.tokens();
}

Status ServingQueue::RunGuarded(const Items& pass, const Yield& yield) {
  return Guarded([&] { return RunPass(pass, yield); });
}

void ServingQueue::Run(const PassPlan& plan, const Yield& yield) {
  using Clock = std::chrono::steady_clock;
  Items pass;
  for (const ScheduledText& text : plan.texts)
    pass.push_back({requests_.at(text.request), text.index});
  Clock::duration elsewhere{0};
  const Yield timed = [&] {
    if (!yield) return;
    Synchronize(pass.front().request->on.base->device());
    const Clock::time_point left = Clock::now();
    yield();
    elsewhere += Clock::now() - left;
  };
  const Clock::time_point start = Clock::now();
  const Status status = RunGuarded(pass, timed);
  const std::chrono::duration<double> took = Clock::now() - start - elsewhere;
  // One that failed ended early, and says nothing.
  if (status.ok()) scheduler_.Ran(plan, took.count());
  ++passes_;
  if (on_pass_) on_pass_(plan.tokens);
  const bool shared = plan.texts.front().request != plan.texts.back().request;
  for (size_t at = 0; at < pass.size();) {
    size_t end = at;
    while (end < pass.size() && pass[end].request == pass[at].request) ++end;
    const Items own(pass.begin() + static_cast<ptrdiff_t>(at),
                    pass.begin() + static_cast<ptrdiff_t>(end));
    const bool again = !status.ok() && shared;
    Settle(plan.texts[at].request, own.size(), again ? RunGuarded(own, [] {}) : status);
    at = end;
  }
}

int64_t ServingQueue::ServeBetweenLayers(uint64_t of) {
  Admit();
  DropAbandoned(of);
  const PassPlan plan = scheduler_.NextBetweenLayers();
  if (!plan.texts.empty()) Run(plan, {});
  return plan.tokens;
}

int64_t ServingQueue::Turn(int64_t most, const Yield& between_layers) {
  if (WaitingRows() == 0) return 0;
  const PassPlan plan = scheduler_.NextPass(most);
  if (!scheduler_.IsOversized(plan)) {
    Run(plan, {});
    return plan.tokens;
  }
  const uint64_t id = plan.texts.front().request;
  const int64_t layers = requests_.at(id)->on.model->num_layers();
  int64_t done = 0, served = 0;  // Layers, and tokens of others.
  const Yield yield = [&] {
    if (served * layers <= plan.tokens * done++) served += ServeBetweenLayers(id);
    between_layers();
  };
  Run(plan, yield);
  return plan.tokens + served;
}

Status ServingQueue::ReadTokenScores(const Items& items, const at::Tensor& hidden_RD,
                                     const WeightSet& weights, const Yield& yield) {
  std::vector<int32_t> next;
  int best = 0;
  for (const Item& item : items) {
    const std::vector<int32_t>& ids = item.request->inputs[item.input].ids;
    for (const int32_t row : item.request->read[item.input])
      next.push_back(ids[std::min(static_cast<size_t>(row) + 1, ids.size() - 1)]);
    best = std::max(best, item.request->best_tokens);
  }
  GRAFT_ASSIGN_OR_RETURN(TokenScores scores, ScoreTokens(hidden_RD, next, best, weights, yield));
  size_t row = 0;
  for (const Item& item : items) {
    ServingRequest& request = *item.request;
    for (size_t i = 0; i < request.read[item.input].size(); ++i, ++row) {
      request.outputs[item.input].push_back(scores.of_next[row]);
      if (request.best_tokens == 0) continue;
      std::vector<TokenScore>& likeliest = scores.best[row];
      likeliest.resize(std::min(likeliest.size(), static_cast<size_t>(request.best_tokens)));
      request.best[item.input].push_back(std::move(likeliest));
    }
  }
  return OkStatus();
}

Status ServingQueue::RunPass(const Items& items, const Yield& yield) {
  const at::NoGradGuard no_grad;
  const ServingRequest& first = *items.front().request;
  std::vector<Sequence> sequences;
  std::vector<const Adapter*> owners;
  for (const Item& item : items) {
    const tokenizers::Encoding& encoding = item.request->inputs[item.input];
    Sequence& sequence = sequences.emplace_back();
    sequence.ids = encoding.ids.data();
    sequence.type_ids = encoding.type_ids.data();
    sequence.length = static_cast<int64_t>(encoding.ids.size());
    if (!item.request->read.empty()) sequence.wanted = item.request->read[item.input];
    owners.push_back(OwnerOf(*item.request));
  }
  const Base& base = *first.on.base;
  GRAFT_ASSIGN_OR_RETURN(const Holding memory,
                         ReservePass(*ledger_, base, sequences, OutputsOf(first, sequences)));
  const ForwardPass pass = ForwardPass::Run(*first.on.model, base, sequences, owners, yield);
  if (first.output == ServingOutput::kTokenScores)
    return ReadTokenScores(items, pass.hidden_RD, WeightSet(base, owners.front()), yield);
  if (first.output == ServingOutput::kEmbedding) {
    for (size_t i = 0; i < items.size(); ++i) {
      at::Tensor embedding = PoolSequence(pass, static_cast<int64_t>(i), base.pooling());
      if (items[i].request->normalize)
        embedding = embedding / at::linalg_vector_norm(embedding).clamp_min(1e-12);
      items[i].request->outputs[items[i].input] = ToVector(embedding);
    }
    return OkStatus();
  }
  for (const Segment& segment : pass.batch.segments) {
    const Adapter& adapter = *owners[static_cast<size_t>(segment.sequence_begin)];
    const at::Tensor logits =
        HeadLogits(pass.HiddenOf(segment), WeightSet(base, &adapter), adapter);
    for (int64_t s = segment.sequence_begin; s < segment.sequence_end; ++s) {
      const Item& item = items[static_cast<size_t>(s)];
      item.request->outputs[item.input] = ToVector(logits.select(0, s - segment.sequence_begin));
    }
  }
  return OkStatus();
}

void ServingQueue::Close(const Status& status) {
  const std::lock_guard lock(mutex_);
  closed_ = status;
}

void ServingQueue::FailAll(const Status& status) {
  Admit();
  for (auto it = requests_.begin(); it != requests_.end();) it = Finish(it, status);
}

}  // namespace graft::worker::engine
