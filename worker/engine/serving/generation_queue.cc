#include "worker/engine/serving/generation_queue.h"

#include <algorithm>
#include <utility>

#include "worker/engine/device/device.h"
#include "worker/engine/passes/base_generation.h"

namespace graft::worker::engine {

GenerationQueue::GenerationQueue(const GenerationLimits& limits, std::shared_ptr<Ledger> ledger)
    : limits_(limits), ledger_(std::move(ledger)) {}
GenerationQueue::~GenerationQueue() = default;

bool GenerationQueue::Push(std::shared_ptr<GenerationWork> work) {
  Status refused;
  {
    const std::lock_guard lock(mutex_);
    refused = closed_;
    if (refused.ok() && open_ >= limits_.max_waiting) {
      refused = ResourceExhaustedError(std::to_string(open_.load()) +
                                       " generations already wait on this worker; try again later");
    }
    if (refused.ok()) {
      new_work_.push_back(std::move(work));
      ++open_;
      return true;
    }
  }
  std::exchange(work->done, nullptr)(refused);
  return false;
}

void GenerationQueue::Admit() {
  std::deque<std::shared_ptr<GenerationWork>> arrived;
  {
    const std::lock_guard lock(mutex_);
    arrived.swap(new_work_);
  }
  for (std::shared_ptr<GenerationWork>& work : arrived) {
    std::unique_ptr<BaseGeneration>& base = bases_[work->on.base.get()];
    if (base == nullptr) {
      StatusOr<std::unique_ptr<BaseGeneration>> made =
          Guarded([&]() -> StatusOr<std::unique_ptr<BaseGeneration>> {
            GRAFT_ASSIGN_OR_RETURN(BaseGeneration::Setup setup,
                                   BaseGeneration::Plan(work->on, limits_, ledger_.get()));
            return std::make_unique<BaseGeneration>(work->on, std::move(setup), ledger_, open_);
          });
      if (!made.ok()) {
        bases_.erase(work->on.base.get());
        --open_;
        std::exchange(work->done, nullptr)(made.status());
        continue;
      }
      base = std::move(*made);
    }
    if (const Status added = base->Add(work); !added.ok()) {
      --open_;
      std::exchange(work->done, nullptr)(added);
    }
  }
}

void GenerationQueue::DropAbandoned() {
  for (auto& [base, generation] : bases_) generation->DropAbandoned();
}

void GenerationQueue::CountCaches() {
  std::erase_if(bases_, [](const auto& entry) { return entry.second->empty(); });
  int64_t all = 0, used = 0;
  for (const auto& [base, generation] : bases_) {
    all += generation->cache_bytes();
    used += generation->used_cache_bytes();
  }
  cache_bytes_ = all;
  used_cache_bytes_ = used;
}

int64_t GenerationQueue::WaitingRows() {
  Admit();
  DropAbandoned();
  CountCaches();
  return bases_.empty() ? 0 : 1;
}

int64_t GenerationQueue::Turn(int64_t /*most*/, const Yield& between_layers) {
  if (WaitingRows() == 0) return 0;
  auto next = bases_.upper_bound(last_);
  if (next == bases_.end()) next = bases_.begin();
  last_ = next->first;
  const BaseGeneration::StepFigures figures = next->second->Step(between_layers);
  prompt_tokens_ += figures.prompt_tokens;
  generated_tokens_ += figures.generated_tokens;
  preemptions_ += figures.preempted;
  CountCaches();  // Now: behind the last text nobody may come for long.
  return std::max<int64_t>(1, figures.rows);
}

void GenerationQueue::Close(const Status& status) {
  const std::lock_guard lock(mutex_);
  closed_ = status;
}

void GenerationQueue::FailAll(const Status& status) {
  Admit();
  for (auto& [base, generation] : bases_) generation->FailAll(status);
  bases_.clear();
  CountCaches();
}

}  // namespace graft::worker::engine
