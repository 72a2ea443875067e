#pragma once
/// The texts of single tokens, as OpenAI's log-probabilities show them.
/// Thread safety: const methods only.

#include <memory>
#include <string>

#include "common/base/json.h"
#include "common/tokenizers/tokenizer.h"
#include "graft/v1/inference.pb.h"

namespace graft::server::rest {

class TokenTexts {
 public:
  explicit TokenTexts(std::shared_ptr<const tokenizers::Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}

  /// The token's text inside of a text: " the", with its space. Of one that isn't whole characters
  /// its bytes, as OpenAI has them: "\xf0\x9f".
  std::string Of(int32_t id) const;
  /// The same in a plain text's logprobs: "bytes:\xf0\x9f".
  std::string InText(int32_t id) const;
  /// What it adds to a text.
  std::string BytesOf(int32_t id) const;
  /// One entry of a chat's logprobs: token, logprob, bytes, top_logprobs.
  Json ChatEntry(const graft::v1::GenerateResponse::Token& token) const;

 private:
  Json Entry(int32_t id, double log_probability) const;

  std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
};

}  // namespace graft::server::rest
