#pragma once
/// Makes the stream of a generation into an answer of OpenAI's form: whole, or event by event.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "server/calls/streams.h"
#include "server/http/request.h"
#include "server/rest/answer_shape.h"
#include "server/rest/generation_fields.h"
#include "server/service/model_service.h"

namespace graft::server::rest {

/// Thread safety: confined to the io thread.
class AnswerWriter {
 public:
  struct Options {
    const AnswerShape& shape;
    std::string model;  ///< As the client named it.
    StreamOptions stream;
    bool wants_logprobs = false;
    /// Fields of the request that must not be without effect, by graft's path: "chat.tools".
    std::map<std::string, std::string> must_count;
  };
  AnswerWriter(Options options, service::ModelService& models, const calls::CallContext& context,
               http::Responder& out);

  /// The generation's writer for one prompt, whose choices are numbered from `first_index`. One at
  /// a time if the answer is streamed.
  std::unique_ptr<calls::StreamWriter<graft::v1::GenerateResponse>> ForPrompt(int first_index);
  /// A text in front of a choice's: its prompt. `logprobs` of its tokens may be null.
  /// `finish_reason` is empty if more follows.
  calls::Awaitable<Status> Echo(int index, std::string text, Json logprobs,
                                std::string finish_reason);
  /// What computed the answer, as far as nothing was generated yet.
  void Note(const graft::v1::Provenance& provenance);
  const std::string& base() const { return provenance_.base(); }
  void AddPromptTokens(int64_t tokens) { usage_.prompt += tokens; }

  /// Sends what is left, once all prompts are through. Errors: what came up while writing.
  calls::Awaitable<Status> Finish();
  /// Why a Write returned false, if it wasn't the client.
  const Status& status() const { return status_; }
  calls::Awaitable<StatusOr<const TokenTexts*>> Texts(const std::string& base);

 private:
  class Prompt;
  struct Usage {
    int64_t prompt = 0;
    std::map<int, int64_t> generated;
  };
  calls::Awaitable<bool> Write(int first_index, graft::v1::GenerateResponse part);
  calls::Awaitable<Status> Take(int first_index, graft::v1::GenerateResponse part);
  calls::Awaitable<Status> Add(ChoicePart now);
  /// What all objects of this answer have.
  Json Envelope(bool is_stream) const;
  Json UsageJson() const;
  Status NoteIdle(const graft::v1::GenerateResponse& part);
  calls::Awaitable<bool> Send(Json chunk);

  const Options options_;
  service::ModelService& models_;
  const calls::CallContext& context_;
  http::Responder& out_;
  const std::string id_;
  const int64_t created_;
  std::optional<TokenTexts> texts_;
  graft::v1::Provenance provenance_;
  std::set<std::string> idle_;  ///< What the request says to no effect.
  bool has_begun_ = false;      ///< Of a stream: an event went out.
  std::map<int, ChoicePart> choices_;
  Usage usage_;
  Status status_;
};

}  // namespace graft::server::rest
