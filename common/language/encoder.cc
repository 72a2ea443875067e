#include "common/language/encoder.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/templates/turns.h"
#include "common/templates/unread.h"

namespace graft::language {
namespace {

using tasks::LossOn;

constexpr tokenizers::EncodeOptions kUncut{.max_length = std::numeric_limits<int>::max()};
/// Of stored conversations, which were checked with less.
constexpr JsonLimits kJsonLimits{.max_depth = 100};

/// The beginning of a sequence that fits; `is_learned` says of each token whether it carries loss.
Encoded Cut(const std::vector<int32_t>& ids, const std::vector<bool>& is_learned, int max_length) {
  Encoded encoded;
  const size_t length = std::min(ids.size(), static_cast<size_t>(max_length));
  encoded.is_too_long = length < ids.size();
  Part part;
  // Nothing comes before the first token that could tell of it.
  for (size_t i = 1; i < length; ++i) {
    if (!is_learned[i]) continue;
    part.targets.push_back(ids[i]);
    part.positions.push_back(static_cast<int32_t>(i - 1));
  }
  if (part.targets.empty()) return encoded;
  part.ids.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(length));
  encoded.parts.push_back(std::move(part));
  return encoded;
}

Status NotJson(const Status& status) {
  return DataLossError("a stored conversation is damaged: " + std::string(status.message()));
}

StatusOr<templates::Conversation> ReadConversation(const datasets::Example& example) {
  templates::Conversation conversation;
  StatusOr<OrderedJson> messages = ParseOrderedJson(example.text, "messages", kJsonLimits);
  if (!messages.ok()) return NotJson(messages.status());
  conversation.messages = *std::move(messages);
  if (example.text_pair.empty()) return conversation;
  StatusOr<OrderedJson> tools = ParseOrderedJson(example.text_pair, "tools", kJsonLimits);
  if (!tools.ok()) return NotJson(tools.status());
  conversation.tools = *std::move(tools);
  return conversation;
}

}  // namespace

struct Encoder::Chat {
  templates::ChatTemplate chat_template;
  templates::RenderOptions render;
  templates::Parts unread;  ///< By this template.

  /// With all of its text if every token is learned.
  StatusOr<templates::TrainingText> Render(templates::Conversation conversation,
                                           LossOn loss_on) const {
    if (loss_on == LossOn::kAnswers)
      return templates::RenderForTraining(chat_template, conversation, render);
    for (OrderedJson& message : conversation.messages) {
      if (message.is_object()) message.erase("weight");
    }
    GRAFT_ASSIGN_OR_RETURN(templates::Rendered rendered,
                           chat_template.Render(conversation, render));
    templates::TrainingText text;
    text.loss = {{0, rendered.text.size()}};
    text.text = std::move(rendered.text);
    return text;
  }
};

Encoder::Encoder(const tokenizers::Tokenizer& tokenizer, EncoderOptions options)
    : tokenizer_(tokenizer),
      options_(std::move(options)),
      end_(tokenizer.Special("eos_token").value_or(tokenizers::SpecialToken()).content) {}
Encoder::~Encoder() = default;

StatusOr<std::unique_ptr<const Encoder>> Encoder::Create(const tokenizers::Tokenizer& tokenizer,
                                                         EncoderOptions options) {
  std::unique_ptr<Encoder> encoder(new Encoder(tokenizer, std::move(options)));
  const EncoderOptions& own = encoder->options_;
  if (own.shape == datasets::Shape::kMessages) {
    auto parsed = templates::ChatTemplate::Parse(own.chat.chat_template);
    if (!parsed.ok()) {
      return InvalidArgumentError("the chat template can't be read: " +
                                  std::string(parsed.status().message()))
          .At("task.causal_lm.chat_template", "TEMPLATE_SYNTAX");
    }
    templates::RenderOptions render;
    render.special_tokens = own.chat.special_tokens;
    render.variables = OrderedJson(own.chat.variables);
    render.now = own.chat.now;
    templates::Parts unread = templates::UnreadParts(*parsed);
    encoder->chat_ = std::make_unique<const Chat>(
        Chat{*std::move(parsed), std::move(render), std::move(unread)});
  }
  return std::unique_ptr<const Encoder>(std::move(encoder));
}

std::string Encoder::WithEnd(const std::string& text) const {
  return text.ends_with(end_) ? text : text + end_;
}

Encoded Encoder::EncodeText(const std::string& text) const {
  const std::vector<int32_t> ids = tokenizer_.Encode(WithEnd(text), kUncut).ids;
  const auto most = static_cast<size_t>(options_.max_length);
  Encoded encoded;
  encoded.is_too_long = ids.size() > most;
  for (size_t begin = 0; begin + 1 < ids.size(); begin += most) {
    const size_t end = std::min(begin + most, ids.size());
    Part part;
    part.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                    ids.begin() + static_cast<std::ptrdiff_t>(end));
    // A part's last token has the next part's first as its target.
    for (size_t i = begin; i < end && i + 1 < ids.size(); ++i) {
      part.targets.push_back(ids[i + 1]);
      part.positions.push_back(static_cast<int32_t>(i - begin));
    }
    encoded.parts.push_back(std::move(part));
  }
  return encoded;
}

Encoded Encoder::EncodeCompletion(const datasets::Example& example) const {
  const std::vector<int32_t> prompt = tokenizer_.Encode(example.text, kUncut).ids;
  const std::vector<int32_t> both =
      tokenizer_.Encode(example.text + WithEnd(example.text_pair), kUncut).ids;
  const auto parting = std::ranges::mismatch(prompt, both).in2 - both.begin();
  std::vector<bool> is_learned(both.size(), true);
  if (options_.loss_on == LossOn::kAnswers)
    std::fill(is_learned.begin(), is_learned.begin() + parting, false);
  return Cut(both, is_learned, options_.max_length);
}

StatusOr<Encoded> Encoder::EncodeConversation(const datasets::Example& example) const {
  GRAFT_ASSIGN_OR_RETURN(templates::Conversation conversation, ReadConversation(example));
  std::vector<std::string> unread = templates::PartsOf(conversation, chat_->unread);
  GRAFT_ASSIGN_OR_RETURN(const templates::TrainingText text,
                         chat_->Render(std::move(conversation), options_.loss_on));
  GRAFT_ASSIGN_OR_RETURN(const auto located, tokenizer_.Locate(text.text));
  std::vector<int32_t> ids;
  std::vector<bool> is_learned;
  auto range = text.loss.begin();
  for (const tokenizers::LocatedToken& token : located) {
    while (range != text.loss.end() && range->end <= token.begin) ++range;
    ids.push_back(token.id);
    is_learned.push_back(range != text.loss.end() && range->begin < token.end);
  }
  Encoded encoded = Cut(ids, is_learned, options_.max_length);
  encoded.unread = std::move(unread);
  return encoded;
}

StatusOr<std::vector<int32_t>> Encoder::EncodePrompt(const std::string& prompt) const {
  if (chat_ == nullptr) return tokenizer_.Encode(prompt, kUncut).ids;
  templates::Conversation conversation;
  conversation.messages.push_back({{"role", "user"}, {"content", prompt}});
  templates::RenderOptions render = chat_->render;
  render.add_generation_prompt = true;
  GRAFT_ASSIGN_OR_RETURN(const templates::Rendered rendered,
                         chat_->chat_template.Render(conversation, render));
  tokenizers::EncodeOptions options = kUncut;
  options.special_tokens = false;  // The template wrote them.
  return tokenizer_.Encode(rendered.text, options).ids;
}

std::vector<std::string> Encoder::UnreadVariables() const {
  if (chat_ == nullptr) return {};
  return templates::UnreadVariables(chat_->chat_template, chat_->render.variables);
}

StatusOr<Encoded> Encoder::Encode(const datasets::Example& example) const {
  switch (options_.shape) {
    case datasets::Shape::kCompletion:
      return EncodeCompletion(example);
    case datasets::Shape::kMessages:
      return EncodeConversation(example);
    case datasets::Shape::kText:
    case datasets::Shape::kLabelled:
      break;
  }
  return EncodeText(example.text);
}

}  // namespace graft::language
