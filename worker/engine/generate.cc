#include <random>
#include <utility>

#include "worker/engine/engine_impl.h"

namespace graft::worker::engine {
namespace {

/// Without a seed every text is another.
uint64_t DrawSeed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

/// Fills in what the request leaves to the base.
void SetDefaults(const GenerationConfig& base, generation::GenerationSettings& settings) {
  generation::SamplingSettings& own = settings.sampling;
  if (!own.temperature) own.temperature = base.sampling.temperature;
  if (!own.top_k) own.top_k = base.sampling.top_k;
  if (!own.top_p) own.top_p = base.sampling.top_p;
  if (!own.min_p) own.min_p = base.sampling.min_p;
  if (!own.repetition_penalty) own.repetition_penalty = base.sampling.repetition_penalty;
  std::vector<int32_t>& ends = settings.stopping.end_tokens;
  ends.insert(ends.end(), base.end_tokens.begin(), base.end_tokens.end());
  if (!settings.seed) settings.seed = DrawSeed();
}

/// The base that the request is for, and its version if it names one.
Status FindModel(const GenerateRequest& request, AdapterCache& adapters, BaseCache& bases,
                 at::ScalarType compute, GenerationWork& work) {
  if (request.version.empty()) {
    GRAFT_ASSIGN_OR_RETURN(work.on, bases.Get(request.base, compute));
    return OkStatus();
  }
  work.version = adapters.Find(request.version);
  if (work.version == nullptr) {
    return NotFoundError("the version isn't resident on this worker")
        .AddDetail({"VERSION_NOT_RESIDENT", {}, 0, {}, {}});
  }
  work.on = work.version->on;
  if (work.version->task->spec().kind == tasks::Kind::kCausalLanguageModeling) return OkStatus();
  return FailedPreconditionError("the adapter was trained to classify; it generates no text")
      .AddDetail({"NO_LANGUAGE_MODEL", {}, 0, {}, {}});
}

}  // namespace

void Engine::Impl::Generate(GenerateRequest request, std::function<void(GeneratedPiece)> on_piece,
                            Callback<GenerateResult> done) {
  auto work = std::make_shared<GenerationWork>();
  const auto prepare = [&]() -> Status {
    GRAFT_RETURN_IF_ERROR(
        FindModel(request, adapters_, bases_, Resolve(options_.base_precision), *work));
    const Base& base = *work->on.base;
    work->settings = std::move(request.settings);
    SetDefaults(base.generation_config(), work->settings);
    GRAFT_RETURN_IF_ERROR(generation::Validate(
        work->settings,
        {.vocabulary = base.layout().vocab_size, .context_tokens = base.layout().max_positions}));
    // One token more than fits tells that it doesn't.
    work->prompt = base.tokenizer()
                       .Encode(request.prompt,
                               {.max_length = static_cast<int>(base.layout().max_positions) + 1,
                                .special_tokens = request.special_tokens})
                       .ids;
    if (!work->prompt.empty()) return OkStatus();
    return InvalidArgumentError("the prompt has no token; write something").At("prompt");
  };
  if (const Status status = prepare(); !status.ok()) return done(status);
  work->abandoned = std::move(request.abandoned);
  work->on_piece = std::move(on_piece);
  work->done = [done = std::move(done),
                fingerprint = work->on.base->fingerprint()](const Status& status) {
    if (!status.ok()) return done(status);
    done(GenerateResult{fingerprint});
  };
  if (generation_.Push(std::move(work))) loop_.Wake();
}

}  // namespace graft::worker::engine
