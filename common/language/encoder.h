#pragma once
/// A language model's examples as tokens, and which of them are learned: what the server counts and
/// the engine trains on. Without torch.
/// Source: TRL 1.16, SFTTrainer (assistant_only_loss, completion_only_loss); but what is longer
/// than max_length is split if it is plain text.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/datasets/dataset.h"
#include "common/tasks/task_spec.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::language {

/// What makes conversations texts.
struct ChatOptions {
  std::string chat_template;                          ///< Source.
  std::map<std::string, std::string> special_tokens;  ///< See templates::ChatFiles.
  Json variables = Json::object();
  std::chrono::sys_seconds now{};  ///< What strftime_now() tells.
};

struct EncoderOptions {
  datasets::Shape shape = datasets::Shape::kText;
  tasks::LossOn loss_on = tasks::LossOn::kAnswers;
  int max_length = 0;
  ChatOptions chat;  ///< Of conversations.
};

/// A sequence to train on. Behind each of `positions`, which rise, the token of `targets` follows;
/// the last may be the first of the next part.
struct Part {
  std::vector<int32_t> ids, targets, positions;
};

struct Encoded {
  std::vector<Part> parts;  ///< None: nothing of it would be learned. Else each has a target.
  bool is_too_long =
      false;  ///< Of more than max_length tokens: split if it is plain text, else cut.
  /// What a conversation has that its template doesn't read, by templates::PartsOf's names.
  std::vector<std::string> unread;
};

/// Thread safety: const; borrows the tokenizer.
class Encoder {
 public:
  /// Errors: InvalidArgument at "task.causal_lm.chat_template" with the reason TEMPLATE_SYNTAX if
  /// the template of conversations can't be parsed.
  static StatusOr<std::unique_ptr<const Encoder>> Create(const tokenizers::Tokenizer& tokenizer,
                                                         EncoderOptions options);
  ~Encoder();

  /// Texts end with eos_token, and so do completions: it is put there if it isn't. A completion
  /// begins where the tokens of the prompt alone and those of both part. Conversations are text
  /// with all their special tokens in it, so none is put around them; a token with a byte of the
  /// assistant's is learned.
  /// Errors: as templates::RenderForTraining; Unimplemented as Tokenizer::Locate; DataLoss if a
  /// conversation isn't JSON.
  StatusOr<Encoded> Encode(const datasets::Example& example) const;

  /// What a model that is trained so continues: `prompt` as it stands; among conversations one that
  /// the user begins with it, up to where the answer begins. Uncut.
  /// Errors: as ChatTemplate::Render.
  StatusOr<std::vector<int32_t>> EncodePrompt(const std::string& prompt) const;

  /// The variables that the template of conversations doesn't read.
  std::vector<std::string> UnreadVariables() const;

 private:
  struct Chat;
  Encoder(const tokenizers::Tokenizer& tokenizer, EncoderOptions options);
  std::string WithEnd(const std::string& text) const;
  Encoded EncodeText(const std::string& text) const;
  Encoded EncodeCompletion(const datasets::Example& example) const;
  StatusOr<Encoded> EncodeConversation(const datasets::Example& example) const;

  const tokenizers::Tokenizer& tokenizer_;
  const EncoderOptions options_;
  const std::string end_;  ///< eos_token; empty if there is none.
  std::unique_ptr<const Chat> chat_;
};

}  // namespace graft::language
