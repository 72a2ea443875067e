#include <random>
#include <utility>

#include "common/base/rename_fields.h"
#include "worker/engine/engine_impl.h"
#include "worker/engine/given_tokens.h"
#include "worker/engine/language_model.h"

namespace graft::worker::engine {
namespace {

uint64_t DrawSeed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

/// The scheduler knows n and max_tokens by their own names.
std::string BelowGeneration(const std::string& field) {
  return field == "n" || field == "max_tokens" ? "generation." + field : field;
}

/// Errors: InvalidArgument at "tokens".
StatusOr<std::vector<int32_t>> TokensOf(GenerateRequest& request, const Base& base) {
  if (!request.tokens.empty()) {
    GRAFT_RETURN_IF_ERROR(CheckTokens(request.tokens, base, "tokens"));
    return std::move(request.tokens);
  }
  // One token more than fits tells that it doesn't.
  const tokenizers::EncodeOptions options{
      .max_length = static_cast<int>(base.layout().max_positions) + 1,
      .special_tokens = !request.is_chat};
  return base.tokenizer().Encode(request.prompt, options).ids;
}

}  // namespace

void Engine::Impl::Generate(GenerateRequest request, std::function<void(GeneratedPiece)> on_piece,
                            Callback<GenerateResult> done) {
  auto work = std::make_shared<GenerationWork>();
  std::vector<std::string> without_effect;
  const auto prepare = [&]() -> Status {
    GRAFT_ASSIGN_OR_RETURN(LanguageModel model,
                           FindLanguageModel(request.base, request.version, adapters_, bases_,
                                             Resolve(options_.base_precision)));
    if (model.version != nullptr) work->adapter = {model.version, model.version->adapter.get()};
    work->on = std::move(model.on);
    const Base& base = *work->on.base;
    work->settings = std::move(request.settings);
    // Of what was asked for: the base's own was checked when it was read.
    GRAFT_RETURN_IF_ERROR(generation::Validate(
        work->settings,
        {.vocabulary = base.layout().vocab_size, .context_tokens = base.layout().max_positions}));
    without_effect = SettingsWithoutEffect(base.generation_config(), work->settings);
    SetDefaults(base.generation_config(), work->settings);
    // Without a seed every text is another.
    if (!work->settings.seed) work->settings.seed = DrawSeed();
    GRAFT_ASSIGN_OR_RETURN(work->prompt, TokensOf(request, base));
    work->continues_prompt = !request.is_chat;
    if (work->prompt.empty())
      return InvalidArgumentError("the prompt has no token; write something").At("prompt");
    if (static_cast<int64_t>(work->prompt.size()) < base.layout().max_positions) return OkStatus();
    return InvalidArgumentError("the prompt fills the base's context of " +
                                std::to_string(base.layout().max_positions) +
                                " tokens, which leaves no room for an answer; shorten it")
        .At("prompt", "CONTEXT_EXCEEDED");
  };
  if (const Status status = prepare(); !status.ok()) return done(status);
  work->abandoned = std::move(request.abandoned);
  const std::string& fingerprint = work->on.base->fingerprint();
  work->on_piece = [on_piece = std::move(on_piece), fingerprint,
                    without_effect = std::move(without_effect)](GeneratedPiece piece) mutable {
    piece.base_fingerprint = fingerprint;
    piece.without_effect = std::exchange(without_effect, {});
    on_piece(std::move(piece));
  };
  work->done = [done = std::move(done), fingerprint](const Status& status) {
    if (!status.ok()) return done(RenameFields(status, BelowGeneration));
    done(GenerateResult{fingerprint});
  };
  if (generation_.Push(std::move(work))) loop_.Wake();
}

StatusOr<ChatForm> Engine::Impl::ChatFormOf(const std::string& base, const VersionId& version) {
  GRAFT_ASSIGN_OR_RETURN(
      const LanguageModel model,
      FindLanguageModel(base, version, adapters_, bases_, Resolve(options_.base_precision)));
  ChatForm form;
  GRAFT_ASSIGN_OR_RETURN(form.files, StatusOr<templates::ChatFiles>(model.on.base->chat_files()));
  if (model.version == nullptr) return form;
  form.variables = model.version->task->spec().language.chat_template_variables;
  if (const std::optional<std::string>& own = model.version->chat_template; own.has_value()) {
    form.files =
        templates::Overlaid(form.files, {.templates = {{"default", *own}}, .special_tokens = {}});
  }
  return form;
}

}  // namespace graft::worker::engine
