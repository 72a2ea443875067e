#include <algorithm>
#include <utility>

#include "worker/engine/engine_impl.h"
#include "worker/engine/given_tokens.h"
#include "worker/engine/language_model.h"
#include "worker/engine/requests.h"

namespace graft::worker::engine {
namespace {

/// Where a text begins among the tokens of prompt and text: at the first that the prompt alone
/// hasn't.
size_t BeginOfText(const std::vector<int32_t>& prompt, const std::vector<int32_t>& all) {
  return static_cast<size_t>(std::ranges::mismatch(prompt, all).in2 - all.begin());
}

/// What is to be read, and where in it the text begins. Errors: InvalidArgument at `field`.
StatusOr<std::pair<tokenizers::Encoding, size_t>> Read(const ScoreInput& input,
                                                       const std::string& field, const Base& base) {
  if (!input.tokens.empty()) {
    GRAFT_RETURN_IF_ERROR(CheckTokens(input.tokens, base, field));
    return std::pair(EncodingOf(input.tokens), size_t{0});
  }
  const tokenizers::EncodeOptions options{.max_length =
                                              static_cast<int>(base.layout().max_positions) + 1};
  tokenizers::Encoding all = base.tokenizer().Encode(input.prompt + input.text, options);
  const size_t begin = BeginOfText(base.tokenizer().Encode(input.prompt, options).ids, all.ids);
  return std::pair(std::move(all), begin);
}

/// Adds an input's tokens. Errors: InvalidArgument at `field`.
Status AddInput(const ScoreInput& input, const std::string& field, ServingRequest& request,
                TextScore& score) {
  const Base& base = *request.on.base;
  const int64_t context = base.layout().max_positions;
  GRAFT_ASSIGN_OR_RETURN(auto read, Read(input, field, base));
  auto& [all, begin] = read;
  if (static_cast<int64_t>(all.ids.size()) > context) {
    return InvalidArgumentError("prompt and text have more tokens than the " +
                                std::to_string(context) + " of the base's context")
        .At(field);
  }
  if (begin == all.ids.size())
    return InvalidArgumentError("the text has no token; write something").At(field);
  score.prompt_tokens = static_cast<int64_t>(begin);
  const auto decode = base.tokenizer().StartDecode({.special_tokens = true});
  for (size_t i = 0; i < begin; ++i) decode->Push(all.ids[i]);
  for (size_t i = begin; i < all.ids.size(); ++i)
    score.tokens.push_back({all.ids[i], decode->Push(all.ids[i]), {}, {}});
  score.tokens.back().text += decode->Finish();
  // Each is told by the row before it. A text that is one token alone has none; its row is computed
  // for nothing.
  std::vector<int32_t>& rows = request.read.emplace_back();
  for (size_t i = std::max<size_t>(begin, 1); i < all.ids.size(); ++i)
    rows.push_back(static_cast<int32_t>(i - 1));
  if (rows.empty()) rows.push_back(0);
  request.truncated.push_back(false);
  request.inputs.push_back(std::move(all));
  return OkStatus();
}

void SetLogProbabilities(const std::vector<float>& of_rows,
                         std::vector<std::vector<TokenScore>>& best, TextScore& score) {
  // The last rows are the last tokens'; a first token of all has no row.
  const size_t first = score.prompt_tokens == 0 ? 1 : 0;
  for (size_t i = first; i < score.tokens.size(); ++i) {
    score.tokens[i].log_probability = of_rows[i - first];
    if (!best.empty()) score.tokens[i].best = std::move(best[i - first]);
  }
}

}  // namespace

void Engine::Impl::Score(ScoreRequest request, Callback<ScoreResult> done) {
  auto serving = std::make_shared<ServingRequest>();
  auto result = std::make_shared<ScoreResult>();
  const auto prepare = [&]() -> Status {
    GRAFT_RETURN_IF_ERROR(CheckInputCount(request.inputs.size()));
    if (request.best < 0 || request.best > generation::kMostLogProbabilities)
      return InvalidArgumentError("best is " + std::to_string(request.best) +
                                  "; it must be from 0 to 20")
          .At("best");
    serving->best_tokens = request.best;
    GRAFT_ASSIGN_OR_RETURN(LanguageModel model,
                           FindLanguageModel(request.base, request.version, adapters_, bases_,
                                             Resolve(options_.base_precision)));
    serving->version = std::move(model.version);
    serving->on = std::move(model.on);
    for (size_t i = 0; i < request.inputs.size(); ++i) {
      GRAFT_RETURN_IF_ERROR(AddInput(request.inputs[i], "inputs[" + std::to_string(i) + "].text",
                                     *serving, result->scores.emplace_back()));
    }
    return OkStatus();
  };
  if (const Status status = prepare(); !status.ok()) return done(status);
  serving->output = ServingOutput::kTokenScores;
  serving->abandoned = std::move(request.abandoned);
  serving->done = [serving = serving.get(), result, done = std::move(done)](const Status& status) {
    if (!status.ok()) return done(status);
    result->base_fingerprint = serving->on.base->fingerprint();
    for (size_t i = 0; i < result->scores.size(); ++i)
      SetLogProbabilities(serving->outputs[i], serving->best[i], result->scores[i]);
    done(std::move(*result));
  };
  if (serving_.Push(std::move(serving))) loop_.Wake();
}

}  // namespace graft::worker::engine
