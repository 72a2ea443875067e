#include "worker/engine/passes/base_generation.h"

#include <algorithm>
#include <utility>

#include "worker/engine/adapters/head.h"
#include "worker/engine/device/device.h"
#include "worker/engine/device/host_values.h"
#include "worker/engine/passes/forward_pass.h"
#include "worker/engine/passes/pass_memory.h"

namespace graft::worker::engine {

using generation::PlannedRows;
using generation::SequenceId;

StatusOr<BaseGeneration::Setup> BaseGeneration::Plan(const LoadedBase& on,
                                                     const GenerationLimits& limits,
                                                     Ledger* ledger) {
  const families::Layout& layout = on.base->layout();
  if (layout.language_head.empty()) {
    return FailedPreconditionError("the base " + on.base->id() +
                                   " has no language head, so it generates no text")
        .AddDetail({"NO_LANGUAGE_HEAD", "base", 0, {}, {}});
  }
  const int64_t block = KvCache::BlockBytes(layout, limits.block_tokens, on.base->compute());
  const int64_t context = (layout.max_positions + limits.block_tokens - 1) / limits.block_tokens;
  // No more than all slots could ever use.
  const int64_t most = std::min(limits.cache_bytes / block, limits.max_sequences * context);
  if (most < 1) {
    return ResourceExhaustedError(
        "keys and values of " + std::to_string(limits.block_tokens) + " tokens of " +
        on.base->id() + " take " + std::to_string(block) + " bytes, and the cache has " +
        std::to_string(limits.cache_bytes) + "; start the worker with more --kv-memory");
  }
  int64_t blocks = most;
  Holding memory;
  if (ledger != nullptr) {
    // With a context what a request may ask for depends on the limits alone, not on the moment.
    GRAFT_ASSIGN_OR_RETURN(
        memory,
        ledger->ReserveUpTo(MemoryKind::kKeysValues, most * block, std::min(most, context) * block,
                            "the cache of keys and values of " + on.base->id()));
    blocks = memory.bytes() / block;
    GRAFT_RETURN_IF_ERROR(memory.Resize(blocks * block));
  }
  GRAFT_ASSIGN_OR_RETURN(generation::SequenceScheduler scheduler,
                         generation::SequenceScheduler::Create(
                             {.context_tokens = layout.max_positions,
                              .num_blocks = static_cast<int32_t>(blocks),
                              .block_tokens = limits.block_tokens,
                              .chunk_tokens = limits.chunk_tokens,
                              .step_tokens = limits.chunk_tokens + limits.max_sequences,
                              .max_sequences = limits.max_sequences}));
  return Setup{std::move(scheduler), blocks, limits.block_tokens, std::move(memory)};
}

BaseGeneration::BaseGeneration(LoadedBase on, Setup setup, std::shared_ptr<Ledger> ledger,
                               std::atomic<size_t>& open)
    : on_(std::move(on)),
      ledger_(std::move(ledger)),
      open_(open),
      scheduler_(std::move(setup.scheduler)),
      cache_memory_(std::move(setup.memory)),
      cache_(on_.base->layout(), setup.num_blocks, setup.block_tokens, on_.base->compute(),
             on_.base->device()) {}

Status BaseGeneration::Add(std::shared_ptr<GenerationWork> work) {
  const auto prompt = static_cast<int64_t>(work->prompt.size());
  // One more than fits where the prompt alone is too long, which the scheduler then says.
  const int64_t most = std::max<int64_t>(scheduler_.MostNewTokens(prompt), 1);
  // What was asked for ends with the context too, but is refused where only the cache is too small:
  // the answer would end elsewhere on another worker.
  const int64_t left = on_.base->layout().max_positions - prompt;
  const std::optional<int64_t> asked = work->settings.stopping.max_tokens;
  const int64_t max_new_tokens = asked ? std::min(*asked, left) : most;
  const int32_t n = work->settings.n.value_or(1);
  GRAFT_RETURN_IF_ERROR(scheduler_.Add({.id = next_id_,
                                        .owner = reinterpret_cast<uint64_t>(work->adapter.get()),
                                        .prompt_tokens = prompt,
                                        .max_new_tokens = max_new_tokens,
                                        .n = n}));
  Request& request = requests_[next_id_++];
  request.work = std::move(work);
  const generation::StopSettings& stopping = request.work->settings.stopping;
  request.stop_strings.emplace(stopping.stop);
  request.running = static_cast<size_t>(n);
  for (int32_t i = 0; i < n; ++i) {
    SequenceState& sequence = request.sequences.emplace_back();
    sequence.tokens = request.work->prompt;
    sequence.text = StartText(*request.work);
    sequence.stop.emplace(stopping, *request.stop_strings, max_new_tokens);
  }
  return OkStatus();
}

std::unique_ptr<tokenizers::DecodeStream> BaseGeneration::StartText(
    const GenerationWork& work) const {
  const tokenizers::Tokenizer& tokenizer = on_.base->tokenizer();
  auto text = tokenizer.StartDecode({.special_tokens = false});
  if (!work.continues_prompt) return text;
  // What comes behind a token that is text begins none. The last that holds nothing back: of a
  // character in bytes, what is held would be told with the next token.
  constexpr size_t kMostLooked = 64;
  const size_t size = work.prompt.size();
  for (size_t i = 1; i <= std::min(size, kMostLooked); ++i) {
    const int32_t token = work.prompt[size - i];
    const auto probe = tokenizer.StartDecode({.special_tokens = false});
    const bool shows = !probe->Push(token).empty();
    if (!probe->Finish().empty()) continue;
    // A space that begins a text isn't shown, but is one: a special token would be shown here.
    if (!shows && !tokenizer.Decode({token}, {.special_tokens = true}).empty()) continue;
    (void)text->Push(token);
    break;
  }
  return text;
}

BaseGeneration::Requests::iterator BaseGeneration::End(Requests::iterator request,
                                                       const Status& status) {
  scheduler_.Cancel(request->first);
  const std::shared_ptr<GenerationWork> work = std::move(request->second.work);
  const auto next = requests_.erase(request);
  --open_;
  std::exchange(work->done, nullptr)(status);
  return next;
}

void BaseGeneration::DropAbandoned() {
  for (auto it = requests_.begin(); it != requests_.end();) {
    const Abandoned& abandoned = it->second.work->abandoned;
    const bool leaves = abandoned && abandoned();
    it = leaves ? End(it, CancelledError("nobody waits for the answer any more")) : std::next(it);
  }
}

void BaseGeneration::FailAll(const Status& status) {
  for (auto it = requests_.begin(); it != requests_.end();) it = End(it, status);
}

BaseGeneration::StepFigures BaseGeneration::Step(const Yield& between_layers) {
  const generation::StepPlan plan = scheduler_.NextStep();
  StepFigures figures{.rows = plan.tokens,
                      .preempted = static_cast<int64_t>(plan.preempted.size())};
  if (plan.rows.empty()) return figures;
  for (const generation::BlockCopy& copy : plan.copies) cache_.Copy(copy.from, copy.to);
  // An adapter that replaces base weights has passes of its own; the others share one.
  std::vector<Rows> passes(1);
  for (const PlannedRows& rows : plan.rows) {
    const Adapter* owner = requests_.at(rows.sequence.request).work->adapter.get();
    const bool alone = owner != nullptr && owner->overrides_base();
    if (alone && (passes.back().empty() || passes.back().front().owner != rows.owner))
      passes.emplace_back();
    (alone ? passes.back() : passes.front()).push_back(rows);
    if (!rows.is_decode) figures.prompt_tokens += rows.tokens;
  }
  for (const Rows& pass : passes) {
    if (!pass.empty()) RunOrEnd(pass, between_layers, figures);
  }
  return figures;
}

void BaseGeneration::RunOrEnd(const Rows& pass, const Yield& between_layers, StepFigures& figures) {
  const Status status = Run(pass, between_layers, figures);
  if (status.ok()) return;
  if (pass.front().owner == pass.back().owner) {
    for (const PlannedRows& rows : pass) {
      const auto request = requests_.find(rows.sequence.request);
      if (request != requests_.end()) End(request, status);
    }
    return;
  }
  // An owner's rows are neighbours.
  for (auto begin = pass.begin(); begin != pass.end();) {
    const auto end = std::find_if(
        begin, pass.end(), [&](const PlannedRows& rows) { return rows.owner != begin->owner; });
    RunOrEnd(Rows(begin, end), between_layers, figures);
    begin = end;
  }
}

Status BaseGeneration::Run(const Rows& rows, const Yield& between_layers, StepFigures& figures) {
  const StatusOr<at::Tensor> logits =
      Guarded([&]() -> StatusOr<at::Tensor> { return Logits(rows, between_layers); });
  if (!logits.ok()) return logits.status();
  int64_t next = 0;
  for (const PlannedRows& one : rows) {
    if (one.samples == 0) continue;
    const at::Tensor row = logits->select(0, next++);
    const Status status =
        ChooseTokens(one, {row.const_data_ptr<float>(), static_cast<size_t>(row.numel())}, figures);
    const auto request = requests_.find(one.sequence.request);
    if (status.ok() || request == requests_.end()) continue;
    End(request, status);
  }
  return OkStatus();
}

StatusOr<at::Tensor> BaseGeneration::Logits(const Rows& rows, const Yield& between_layers) {
  const at::NoGradGuard no_grad;
  std::vector<Sequence> sequences;
  std::vector<const Adapter*> owners;
  std::vector<int32_t> last(rows.size());
  std::vector<size_t> sampled;
  for (size_t i = 0; i < rows.size(); ++i) {
    const PlannedRows& one = rows[i];
    const Request& request = requests_.at(one.sequence.request);
    const SequenceState& state = request.sequences[static_cast<size_t>(one.sequence.index)];
    last[i] = static_cast<int32_t>(one.tokens - 1);
    Sequence& sequence = sequences.emplace_back();
    sequence.ids = state.tokens.data() + one.begin;
    sequence.length = one.tokens;
    sequence.wanted = {&last[i], 1};
    sequence.past = one.begin;
    sequence.blocks = one.table->blocks();
    owners.push_back(request.work->adapter.get());
    if (one.samples > 0) sampled.push_back(i);
  }
  Holding memory;
  if (ledger_ != nullptr) {
    GRAFT_ASSIGN_OR_RETURN(
        memory, ReservePass(*ledger_, *on_.base, sequences,
                            {static_cast<int64_t>(sampled.size()), on_.base->layout().vocab_size}));
  }
  const ForwardPass pass =
      ForwardPass::Run(*on_.model, *on_.base, sequences, owners, between_layers, &cache_);
  if (sampled.empty()) return at::Tensor();
  const at::Tensor index = ToDevice<int64_t>(sampled, on_.base->device());
  // One product for all: heads are the base's own unless an overlay, which is alone, has another.
  return BaseLogits(pass.hidden_RD.index_select(0, index), WeightSet(*on_.base, owners.front()))
      .cpu()
      .contiguous();
}

Status BaseGeneration::ChooseTokens(const PlannedRows& rows, std::span<const float> logits,
                                    StepFigures& figures) {
  for (int32_t i = 0; i < rows.samples; ++i) {
    const auto found = requests_.find(rows.sequence.request);
    if (found == requests_.end()) return OkStatus();
    Request& request = found->second;
    const SequenceId id{rows.sequence.request, rows.sequence.index + i};
    SequenceState& state = request.sequences[static_cast<size_t>(id.index)];
    if (state.stop->finish()) continue;
    const generation::GenerationSettings& settings = request.work->settings;
    GRAFT_ASSIGN_OR_RETURN(
        const generation::Choice choice,
        sampler_.Sample(logits, settings, {state.tokens, request.work->prompt.size()},
                        {settings.seed.value_or(0), static_cast<uint32_t>(id.index)}));
    Take(request, id, choice, figures);
    if (request.running == 0) End(found, OkStatus());
  }
  return OkStatus();
}

void BaseGeneration::Take(Request& request, const SequenceId& id, const generation::Choice& choice,
                          StepFigures& figures) {
  SequenceState& state = request.sequences[static_cast<size_t>(id.index)];
  ++figures.generated_tokens;
  state.tokens.push_back(choice.token);
  GeneratedPiece piece;
  piece.index = id.index;
  piece.token = choice.token;
  piece.log_probability = choice.log_probability;
  for (const generation::TokenLogProbability& one : choice.best)
    piece.best.push_back({one.token, one.log_probability});
  piece.text = state.stop->Add(choice.token, state.text->Push(choice.token));
  if (state.stop->finish()) {
    piece.text += state.stop->Close(state.text->Finish());
    piece.finish = std::string(generation::FinishReasonName(state.stop->finish()->reason));
    --request.running;
    scheduler_.Finish(id);
  }
  piece.prompt_tokens = static_cast<int64_t>(request.work->prompt.size());
  piece.generated_tokens = state.stop->generated();
  request.work->on_piece(std::move(piece));
}

}  // namespace graft::worker::engine
