#include "server/rest/answer_writer.h"

#include <utility>

#include "common/base/ids.h"
#include "server/rest/provenance.h"
#include "server/rest/transcode.h"

namespace graft::server::rest {

using graft::v1::GenerateResponse;

class AnswerWriter::Prompt final : public calls::StreamWriter<GenerateResponse> {
 public:
  Prompt(AnswerWriter& answer, int first_index) : answer_(answer), first_index_(first_index) {}
  calls::Awaitable<bool> Write(GenerateResponse part) override {
    return answer_.Write(first_index_, std::move(part));
  }

 private:
  AnswerWriter& answer_;
  const int first_index_;
};

AnswerWriter::AnswerWriter(Options options, service::ModelService& models,
                           const calls::CallContext& context, http::Responder& out)
    : options_(std::move(options)),
      models_(models),
      context_(context),
      out_(out),
      id_(options_.shape.IdPrefix() + NewId(SystemClock().Now())),
      created_(SystemClock().Now() / 1'000'000) {
  if (options_.stream.stream) out_.Begin({200, http::kEventStream, {}});
}

std::unique_ptr<calls::StreamWriter<GenerateResponse>> AnswerWriter::ForPrompt(int first_index) {
  return std::make_unique<Prompt>(*this, first_index);
}

calls::Awaitable<StatusOr<const TokenTexts*>> AnswerWriter::Texts(const std::string& base) {
  if (!texts_) {
    GRAFT_CO_ASSIGN_OR_RETURN(auto tokenizer, co_await models_.TokenizerOf(context_, base));
    texts_.emplace(std::move(tokenizer));
  }
  co_return &*texts_;
}

void AnswerWriter::Note(const graft::v1::Provenance& provenance) {
  if (provenance_.base().empty()) provenance_ = provenance;
}

Status AnswerWriter::NoteIdle(const GenerateResponse& part) {
  for (const std::string& path : part.settings_without_effect()) {
    const auto found = options_.must_count.find(path);
    if (found != options_.must_count.end()) {
      return InvalidArgumentError(
                 found->second + " changes nothing here: the model's chat template doesn't read it")
          .At(found->second, "WITHOUT_EFFECT");
    }
    idle_.insert(path);
  }
  return OkStatus();
}

Json AnswerWriter::Envelope(bool is_stream) const {
  Json graft = ProvenanceJson(provenance_);
  if (!idle_.empty()) graft["settings_without_effect"] = idle_;
  const std::string& computed = provenance_.adapter_version_sha256().empty()
                                    ? provenance_.base_fingerprint()
                                    : provenance_.adapter_version_sha256();
  Json envelope = {{"id", id_},
                   {"object", options_.shape.Object(is_stream)},
                   {"created", created_},
                   {"model", options_.model},
                   {"system_fingerprint", "fp_" + computed.substr(0, 12)}};
  // A stream says it once.
  if (!has_begun_) envelope["graft"] = std::move(graft);
  return envelope;
}

Json AnswerWriter::UsageJson() const {
  int64_t generated = 0;
  for (const auto& [index, tokens] : usage_.generated) generated += tokens;
  return {{"prompt_tokens", usage_.prompt},
          {"completion_tokens", generated},
          {"total_tokens", usage_.prompt + generated}};
}

calls::Awaitable<bool> AnswerWriter::Send(Json chunk) {
  if (options_.stream.include_usage && !chunk.contains("usage")) chunk["usage"] = nullptr;
  has_begun_ = true;
  return out_.Write(http::DataEvent(Dump(chunk)));
}

calls::Awaitable<Status> AnswerWriter::Add(ChoicePart now) {
  const auto [known, is_first] = choices_.try_emplace(now.index);
  ChoicePart& choice = known->second;
  choice.index = now.index;
  now.is_first = is_first;
  if (options_.stream.stream) {
    choice.num_characters += NumCharacters(now.text);
    Json chunk = Envelope(true);
    chunk["choices"] = Json::array({options_.shape.StreamedChoice(now)});
    const bool is_sent = co_await Send(std::move(chunk));
    co_return is_sent ? OkStatus() : CancelledError("the client went away");
  }
  choice.num_characters += NumCharacters(now.text);
  choice.text += now.text;
  choice.finish_reason = now.finish_reason;
  if (choice.logprobs.is_null()) {
    choice.logprobs = std::move(now.logprobs);
  } else if (!now.logprobs.is_null()) {
    options_.shape.Append(now.logprobs, choice.logprobs);
  }
  co_return OkStatus();
}

calls::Awaitable<Status> AnswerWriter::Take(int first_index, GenerateResponse part) {
  GRAFT_CO_RETURN_IF_ERROR(NoteIdle(part));
  Note(part.provenance());
  const int index = first_index + part.index();
  if (part.index() == 0 && !usage_.generated.contains(index)) usage_.prompt += part.prompt_tokens();
  usage_.generated[index] = part.generated_tokens();
  ChoicePart now{index, part.text(), nullptr, part.finish_reason()};
  if (options_.wants_logprobs) {
    GRAFT_CO_ASSIGN_OR_RETURN(const TokenTexts* texts, co_await Texts(provenance_.base()));
    const Tokens tokens(part.tokens().begin(), part.tokens().end());
    const auto before = choices_.find(index);
    const size_t offset = before == choices_.end() ? 0 : before->second.num_characters;
    now.logprobs = options_.shape.Logprobs(tokens, *texts, offset);
  }
  co_return co_await Add(std::move(now));
}

calls::Awaitable<bool> AnswerWriter::Write(int first_index, GenerateResponse part) {
  Status status = co_await Take(first_index, std::move(part));
  if (status.ok()) co_return true;
  if (status_.ok()) status_ = std::move(status);
  co_return false;
}

calls::Awaitable<Status> AnswerWriter::Echo(int index, std::string text, Json logprobs,
                                            std::string finish_reason) {
  return Add({index, std::move(text), std::move(logprobs), std::move(finish_reason)});
}

calls::Awaitable<Status> AnswerWriter::Finish() {
  if (!options_.stream.stream) {
    Json answer = Envelope(false);
    answer["choices"] = Json::array();
    for (const auto& [index, choice] : choices_)
      answer["choices"].push_back(options_.shape.WholeChoice(choice));
    answer["usage"] = UsageJson();
    out_.Send({}, Dump(answer));
    co_return OkStatus();
  }
  if (options_.stream.include_usage) {
    Json last = Envelope(true);
    last["choices"] = Json::array();
    last["usage"] = UsageJson();
    const bool is_sent = co_await Send(std::move(last));
    if (!is_sent) co_return CancelledError("the client went away");
  }
  const bool is_sent = co_await out_.Write(http::DataEvent("[DONE]"));
  co_return is_sent ? OkStatus() : CancelledError("the client went away");
}

}  // namespace graft::server::rest
