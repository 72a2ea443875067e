#include "worker/engine/training/sample_texts.h"

#include <utility>

#include "common/language/samples.h"
#include "common/spec/training_memory.h"
#include "worker/engine/device/device.h"
#include "worker/engine/model/generation_config.h"

namespace graft::worker::engine {

StatusOr<SamplePlan> PlanSamples(const spec::JobSpec& spec, const Base& base, datasets::Shape shape,
                                 const language::ChatOptions& chat) {
  SamplePlan plan;
  const tasks::LanguageTraining& training = spec.task.language;
  if (training.samples.empty()) return plan;
  language::EncoderOptions options;
  options.shape = shape;
  options.chat = chat;
  options.chat.variables = training.chat_template_variables;
  GRAFT_ASSIGN_OR_RETURN(const auto encoder,
                         language::Encoder::Create(base.tokenizer(), std::move(options)));
  plan.prompts = training.samples;
  plan.are_chats = shape == datasets::Shape::kMessages;
  plan.max_tokens = training.sample_tokens;
  GRAFT_ASSIGN_OR_RETURN(plan.tokens,
                         language::EncodeSamples(*encoder, training, base.layout().max_positions));
  std::vector<int64_t> lengths;
  for (const auto& tokens : plan.tokens) lengths.push_back(static_cast<int64_t>(tokens.size()));
  plan.cache_bytes =
      spec::SampleCacheBytes(spec, base.layout(), lengths, base.compute() == at::kBFloat16);
  return plan;
}

SampleTexts::SampleTexts(const LoadedBase& on, const Adapter& adapter, const SamplePlan& plan)
    : plan_(plan), texts_(plan.prompts.size()), open_(plan.prompts.size()) {
  for (size_t i = 0; i < texts_.size(); ++i) {
    texts_[i].sample.index = static_cast<int32_t>(i);
    texts_[i].sample.prompt = plan.prompts[i];
  }
  const Status begun = Guarded([&] { return Begin(on, adapter); });
  if (begun.ok()) return;
  for (Text& text : texts_) text.status = begun;
  generation_.reset();
  open_ = 0;
}

Status SampleTexts::Begin(const LoadedBase& on, const Adapter& adapter) {
  const auto count = static_cast<int64_t>(plan_.prompts.size());
  GRAFT_ASSIGN_OR_RETURN(
      BaseGeneration::Setup setup,
      BaseGeneration::Plan(on, {.cache_bytes = plan_.cache_bytes, .max_sequences = count},
                           /*ledger=*/nullptr));
  generation_ = std::make_unique<BaseGeneration>(on, std::move(setup), /*ledger=*/nullptr, open_);
  for (size_t i = 0; i < texts_.size(); ++i) {
    const Status added = generation_->Add(WorkOf(on, adapter, i));
    if (added.ok()) continue;
    texts_[i].status = added;
    --open_;
  }
  return OkStatus();
}

std::shared_ptr<GenerationWork> SampleTexts::WorkOf(const LoadedBase& on, const Adapter& adapter,
                                                    size_t index) {
  auto work = std::make_shared<GenerationWork>();
  work->on = on;
  work->adapter = {std::shared_ptr<const Adapter>(), &adapter};  // The run's; it outlives this.
  work->prompt = plan_.tokens[index];
  work->continues_prompt = !plan_.are_chats;
  work->settings.sampling.temperature = 0;
  work->settings.stopping.max_tokens = plan_.max_tokens;
  SetDefaults(on.base->generation_config(), work->settings);
  work->on_piece = [this, index](GeneratedPiece piece) {
    report::Sample& sample = texts_[index].sample;
    sample.text += piece.text;
    sample.tokens = piece.generated_tokens;
    if (piece.finish) sample.finish_reason = *piece.finish;
  };
  work->done = [this, index](const Status& status) { texts_[index].status = status; };
  return work;
}

void SampleTexts::Advance(const Yield& yield) {
  generation_->Step(yield);
  if (done()) generation_.reset();  // The cache is training's again.
}

std::vector<StatusOr<report::Sample>> SampleTexts::Result() const {
  std::vector<StatusOr<report::Sample>> result;
  for (const Text& text : texts_) {
    result.push_back(text.status.ok() ? StatusOr<report::Sample>(text.sample)
                                      : StatusOr<report::Sample>(text.status));
  }
  return result;
}

}  // namespace graft::worker::engine
