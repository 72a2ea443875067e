#include "client/cli/generation_flags.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "client/cli/context.h"
#include "client/cli/template_variables.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

template <typename Number>
bool Parse(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

}  // namespace

void AddModelFlags(command_line::Command command, std::string& adapter, std::string& base) {
  command.Add("--adapter", adapter, "NAME, NAME@VERSION, NAME@sha256:...");
  command.Add("--base", base, "The plain base");
}

void AddGenerationFlags(command_line::Command command, GenerationFlags& flags) {
  AddModelFlags(command, flags.adapter, flags.base);
  command.Add(
      "--max-tokens", flags.max_tokens,
      "At most so many tokens; default: what the base's context and the worker's cache hold");
  command.Add("--min-tokens", flags.min_tokens, "No end token before so many");
  command.Add("--temperature", flags.temperature,
              "Above 0 tokens are drawn; at 0 it is always the likeliest, and --top-k, --top-p, "
              "--min-p, --seed and --n change nothing. Default: the base's own, which is 0 unless "
              "its generation_config.json says do_sample");
  command.Add("--top-k", flags.top_k,
              "Of the k likeliest tokens. This and the next three: by default the base's own");
  command.Add("--top-p", flags.top_p, "Of the likeliest tokens that have this probability");
  command.Add("--min-p", flags.min_p, "Of tokens with this part of the likeliest's probability");
  command.Add("--repetition-penalty", flags.repetition_penalty,
              "Above 1 tokens that are there come less often");
  command.Add("--frequency-penalty", flags.frequency_penalty, "For each time a token was written");
  command.Add("--presence-penalty", flags.presence_penalty, "Once a token was written");
  command.Add("--logit-bias", flags.logit_bias, "TOKEN=BIAS, added to its logit; again for more")
      .OneAtATime();
  command.Add("--seed", flags.seed, "The same seed gives the same text");
  command.Add("--stop", flags.stop, "A text that ends it and isn't shown; again for more")
      .OneAtATime();
  command.Add("--end-token", flags.end_tokens, "A token's number that ends it; again for more")
      .OneAtATime();
  command.Add("--logprobs", flags.logprobs,
              "Log-probabilities, also of so many of the likeliest tokens (seen with --json)");
}

void AddChatFlags(command_line::Command command, GenerationFlags& flags) {
  command.Add("--system", flags.system, "What the model is told before the conversation");
  AddTemplateVariables(command, flags.template_variables).OneAtATime();
}

StatusOr<graft::v1::GenerateRequest> MakeRequest(const GenerationFlags& flags) {
  if (flags.adapter.empty() == flags.base.empty())
    return UsageError("say who answers: either --adapter or --base");
  graft::v1::GenerateRequest request;
  request.set_adapter(flags.adapter);
  request.set_base(flags.base);
  graft::v1::GenerationSettings& settings = *request.mutable_generation();
  if (flags.max_tokens) settings.set_max_tokens(*flags.max_tokens);
  if (flags.min_tokens) settings.set_min_tokens(*flags.min_tokens);
  if (flags.temperature) settings.set_temperature(*flags.temperature);
  if (flags.top_k) settings.set_top_k(*flags.top_k);
  if (flags.top_p) settings.set_top_p(*flags.top_p);
  if (flags.min_p) settings.set_min_p(*flags.min_p);
  if (flags.repetition_penalty) settings.set_repetition_penalty(*flags.repetition_penalty);
  if (flags.frequency_penalty) settings.set_frequency_penalty(*flags.frequency_penalty);
  if (flags.presence_penalty) settings.set_presence_penalty(*flags.presence_penalty);
  if (flags.seed) settings.set_seed(*flags.seed);
  if (flags.n) settings.set_n(*flags.n);
  if (flags.logprobs) settings.set_logprobs(*flags.logprobs);
  *settings.mutable_stop() = {flags.stop.begin(), flags.stop.end()};
  for (const std::string& text : flags.end_tokens) {
    int32_t token = 0;
    if (!Parse(text, token)) return UsageError("--end-token " + Quoted(text) + " is no number");
    settings.add_end_tokens(token);
  }
  for (const std::string& text : flags.logit_bias) {
    const size_t equals = text.find('=');
    graft::v1::TokenBias bias;
    int32_t token = 0;
    double value = 0;
    if (equals == std::string::npos || !Parse(std::string_view(text).substr(0, equals), token) ||
        !Parse(std::string_view(text).substr(equals + 1), value))
      return UsageError("--logit-bias " + Quoted(text) + " isn't of the form TOKEN=BIAS");
    bias.set_token(token);
    bias.set_bias(value);
    *settings.add_logit_bias() = bias;
  }
  return request;
}

StatusOr<graft::v1::Chat> MakeChat(const GenerationFlags& flags) {
  graft::v1::Chat chat;
  if (!flags.system.empty()) {
    graft::v1::ChatMessage& message = *chat.add_messages();
    message.set_role("system");
    message.set_content(flags.system);
  }
  GRAFT_ASSIGN_OR_RETURN(const auto variables, ReadTemplateVariables(flags.template_variables));
  chat.mutable_variables()->insert(variables.begin(), variables.end());
  return chat;
}

}  // namespace graft::cli
