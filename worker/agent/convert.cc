#include "worker/agent/convert.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace graft::worker::agent {

graft::v1::ClassifyResponse::Prediction ToProto(const engine::Prediction& prediction,
                                                const std::vector<std::string>& label_names,
                                                bool with_logits) {
  graft::v1::ClassifyResponse::Prediction out;
  const auto best =
      std::max_element(prediction.probabilities.begin(), prediction.probabilities.end());
  out.set_label(label_names[static_cast<size_t>(best - prediction.probabilities.begin())]);
  out.set_probability(*best);
  for (size_t i = 0; i < label_names.size(); ++i) {
    auto* label = out.add_probabilities();
    label->set_label(label_names[i]);
    label->set_probability(prediction.probabilities[i]);
  }
  if (with_logits) out.mutable_logits()->Add(prediction.logits.begin(), prediction.logits.end());
  out.set_tokens(prediction.tokens);
  out.set_truncated(prediction.truncated);
  return out;
}

graft::v1::LabelFigures ToProto(const engine::LabelFigures& figures) {
  graft::v1::LabelFigures out;
  out.set_label(figures.label);
  out.set_examples(figures.examples);
  out.set_precision(figures.precision);
  out.set_recall(figures.recall);
  out.set_f1(figures.f1);
  return out;
}

void AppendTo(engine::GeneratedPiece piece, graft::internal::v1::EngineGenerateResponse& response) {
  graft::v1::GenerateResponse& part = *response.mutable_part();
  part.set_index(piece.index);
  part.mutable_text()->append(piece.text);
  graft::v1::GenerateResponse::Token& token = *part.add_tokens();
  token.set_id(piece.token);
  if (piece.log_probability) token.set_log_probability(*piece.log_probability);
  for (const engine::TokenScore& one : piece.best) {
    auto* best = token.add_best();
    best->set_token(one.token);
    best->set_log_probability(one.log_probability);
  }
  if (piece.finish) part.set_finish_reason(*piece.finish);
  part.set_prompt_tokens(piece.prompt_tokens);
  part.set_generated_tokens(piece.generated_tokens);
  for (std::string& setting : piece.without_effect)
    part.add_settings_without_effect(std::move(setting));
  response.set_base_fingerprint(std::move(piece.base_fingerprint));
}

graft::v1::ScoreResponse::Score ToProto(const engine::TextScore& score) {
  graft::v1::ScoreResponse::Score out;
  double sum = 0;
  for (const engine::ScoredToken& token : score.tokens) {
    auto* one = out.add_tokens();
    one->set_id(token.token);
    one->set_text(token.text);
    if (token.log_probability) one->set_log_probability(*token.log_probability);
    for (const engine::TokenScore& likely : token.best) {
      auto* best = one->add_best();
      best->set_token(likely.token);
      best->set_log_probability(likely.log_probability);
    }
    sum += token.log_probability.value_or(0);
  }
  out.set_log_probability(sum);
  out.set_prompt_tokens(static_cast<int32_t>(score.prompt_tokens));
  return out;
}

engine::generation::GenerationSettings FromProto(const graft::v1::GenerationSettings& settings) {
  engine::generation::GenerationSettings out;
  engine::generation::SamplingSettings& sampling = out.sampling;
  if (settings.has_temperature()) sampling.temperature = settings.temperature();
  if (settings.has_top_k()) sampling.top_k = settings.top_k();
  if (settings.has_top_p()) sampling.top_p = settings.top_p();
  if (settings.has_min_p()) sampling.min_p = settings.min_p();
  if (settings.has_repetition_penalty())
    sampling.repetition_penalty = settings.repetition_penalty();
  if (settings.has_frequency_penalty()) sampling.frequency_penalty = settings.frequency_penalty();
  if (settings.has_presence_penalty()) sampling.presence_penalty = settings.presence_penalty();
  if (settings.has_logprobs()) sampling.logprobs = settings.logprobs();
  for (const graft::v1::TokenBias& bias : settings.logit_bias())
    sampling.logit_bias.push_back({bias.token(), bias.bias()});
  engine::generation::StopSettings& stopping = out.stopping;
  if (settings.has_max_tokens()) stopping.max_tokens = settings.max_tokens();
  if (settings.has_min_tokens()) stopping.min_tokens = settings.min_tokens();
  stopping.stop = {settings.stop().begin(), settings.stop().end()};
  stopping.end_tokens = {settings.end_tokens().begin(), settings.end_tokens().end()};
  if (settings.has_n()) out.n = settings.n();
  if (settings.has_seed()) out.seed = settings.seed();
  return out;
}

graft::internal::v1::JobMemory TellMemory(const engine::Engine& engine) {
  // The process's: the server begins anew with whoever registers.
  static std::atomic<int64_t> number = 0;
  graft::internal::v1::JobMemory message;
  message.set_number(++number);
  const engine::JobMemory memory = engine.job_memory();
  message.set_free_bytes(memory.free_bytes);
  for (const engine::JobMemory::BaseInUse& base : memory.bases_in_use) {
    auto& told = *message.add_bases_in_use();
    told.set_id(base.id);
    told.set_bf16(base.is_bf16);
    told.set_bytes(base.bytes);
  }
  const engine::MemoryFigures held = engine.figures().memory;
  auto& by_kind = *message.mutable_held_bytes();
  by_kind["bases"] = held.bases;
  by_kind["adapters"] = held.adapters;
  by_kind["kv"] = held.keys_values;
  by_kind["training"] = held.training;
  by_kind["passes"] = held.passes;
  return message;
}

}  // namespace graft::worker::agent
