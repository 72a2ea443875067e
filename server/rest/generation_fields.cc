#include "server/rest/generation_fields.h"

#include <charconv>
#include <limits>
#include <string>

namespace graft::server::rest {
namespace {

constexpr int64_t kMostTokens = std::numeric_limits<int32_t>::max();
constexpr size_t kMaxStops = 16;
constexpr size_t kMaxStopBytes = 512;

void ReadStops(Fields& fields, graft::v1::GenerationSettings& settings) {
  if (!fields.Has("stop")) return;
  if (fields.raw("stop").is_string()) {
    settings.add_stop(fields.Text("stop", kMaxStopBytes));
    return;
  }
  for (std::string& stop : fields.Texts("stop", kMaxStops, kMaxStopBytes))
    settings.add_stop(std::move(stop));
}

void ReadBias(Fields& fields, graft::v1::GenerationSettings& settings) {
  if (!fields.Has("logit_bias")) return;
  const Json& biases = fields.raw("logit_bias");
  if (!biases.is_object()) return fields.Fail("logit_bias", "must be an object of token ids");
  for (const auto& [token, bias] : biases.items()) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), id);
    if (error != std::errc() || end != token.data() + token.size() || !bias.is_number())
      return fields.Fail("logit_bias", "has a number for each token's id, like {\"50256\": -100}");
    graft::v1::TokenBias& added = *settings.add_logit_bias();
    added.set_token(id);
    added.set_bias(bias.get<double>());
  }
}

void ReadEndTokens(Fields& fields, graft::v1::GenerationSettings& settings) {
  if (!fields.Has("stop_token_ids")) return;
  const Json& tokens = fields.raw("stop_token_ids");
  if (!tokens.is_array()) return fields.Fail("stop_token_ids", "must be a list of token ids");
  for (const Json& token : tokens) {
    if (!token.is_number_integer() || token.get<int64_t>() < 0 ||
        token.get<int64_t>() > kMostTokens)
      return fields.Fail("stop_token_ids", "must be a list of token ids");
    settings.add_end_tokens(token.get<int32_t>());
  }
}

}  // namespace

void ReadGeneration(Fields& fields, graft::v1::GenerationSettings& settings) {
  if (fields.Has("temperature")) settings.set_temperature(fields.Number("temperature", 0, 100, 0));
  if (fields.Has("top_p")) settings.set_top_p(fields.Number("top_p", 0, 1, 1));
  if (fields.Has("min_p")) settings.set_min_p(fields.Number("min_p", 0, 1, 0));
  // vLLM's clients say -1 for all.
  if (fields.Has("top_k"))
    settings.set_top_k(std::max<int64_t>(0, fields.Integer("top_k", -1, kMostTokens, 0)));
  if (fields.Has("repetition_penalty"))
    settings.set_repetition_penalty(fields.Number("repetition_penalty", 0.01, 100, 1));
  if (fields.Has("frequency_penalty"))
    settings.set_frequency_penalty(fields.Number("frequency_penalty", -2, 2, 0));
  if (fields.Has("presence_penalty"))
    settings.set_presence_penalty(fields.Number("presence_penalty", -2, 2, 0));
  if (fields.Has("seed")) {
    const bool is_negative =
        fields.raw("seed").is_number_integer() && fields.raw("seed").get<int64_t>() < 0;
    // OpenAI's seeds are signed: each is a seed of its own here too.
    settings.set_seed(is_negative ? static_cast<uint64_t>(fields.raw("seed").get<int64_t>())
                                  : fields.Unsigned64("seed", 0));
  }
  if (fields.Has("n")) settings.set_n(static_cast<int32_t>(fields.Integer("n", 1, 64, 1)));
  if (fields.Has("min_tokens"))
    settings.set_min_tokens(fields.Integer("min_tokens", 0, kMostTokens, 0));
  ReadStops(fields, settings);
  ReadBias(fields, settings);
  ReadEndTokens(fields, settings);
}

void ReadHarmless(Fields& fields) {
  for (const char* name : {"user", "metadata", "store", "service_tier", "safety_identifier",
                           "prompt_cache_key", "prompt_cache_retention"})
    (void)fields.Has(name);
}

StreamOptions ReadStreamOptions(Fields& fields) {
  StreamOptions options;
  options.stream = fields.Flag("stream", false);
  if (!fields.Has("stream_options")) return options;
  if (!options.stream) {
    fields.Fail("stream_options", "has a meaning only with \"stream\": true");
    return options;
  }
  Fields inner(fields.raw("stream_options"), "stream_options");
  options.include_usage = inner.Flag("include_usage", false);
  (void)inner.Flag("include_obfuscation", false);
  if (const Status status = inner.Finish(); !status.ok())
    fields.Fail("stream_options", "is malformed: " + status.message());
  return options;
}

}  // namespace graft::server::rest
