#pragma once
/// How an answer of a language model looks in OpenAI's two forms, chats and plain texts: pure
/// functions of what was generated.
/// Source: OpenAI's CreateChatCompletionResponse, CreateChatCompletionStreamResponse,
/// CreateCompletionResponse.

#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "graft/v1/inference.pb.h"
#include "server/rest/token_texts.h"

namespace graft::server::rest {

using Tokens = std::vector<graft::v1::GenerateResponse::Token>;

/// A choice, or of a stream what is new of it.
struct ChoicePart {
  int index = 0;
  std::string text;
  Json logprobs;              ///< As Logprobs makes them; null if they weren't asked for.
  std::string finish_reason;  ///< Empty while it goes on.
  bool is_first = false;      ///< Of a stream: the first of its choice.
  size_t num_characters = 0;  ///< Of all of its text so far.
};

/// Thread safety: const methods only.
class AnswerShape {
 public:
  virtual ~AnswerShape() = default;
  virtual std::string IdPrefix() const = 0;              ///< "chatcmpl-"
  virtual std::string Object(bool is_stream) const = 0;  ///< "chat.completion.chunk"
  virtual Json WholeChoice(const ChoicePart& choice) const = 0;
  virtual Json StreamedChoice(const ChoicePart& part) const = 0;
  /// `offset`: characters of the choice's text in front of these tokens.
  virtual Json Logprobs(const Tokens& tokens, const TokenTexts& texts, size_t offset) const = 0;
  /// Appends what Logprobs made of later tokens.
  virtual void Append(const Json& later, Json& logprobs) const = 0;
};

/// Of UTF-8.
size_t NumCharacters(std::string_view text);

const AnswerShape& ChatShape();
const AnswerShape& TextShape();

}  // namespace graft::server::rest
