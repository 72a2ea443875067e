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

  /// The token's text inside of a text: " the", with its space. U+FFFD for a part of a character.
  std::string Of(int32_t id) const;
  /// One entry of a chat's logprobs: token, logprob, bytes, top_logprobs.
  Json ChatEntry(const graft::v1::GenerateResponse::Token& token) const;

 private:
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
};

}  // namespace graft::server::rest
