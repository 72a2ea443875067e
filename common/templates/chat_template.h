#pragma once
/// Chat templates: a conversation to the text that a model was trained on, as transformers renders
/// it with jinja2. What isn't built is refused with line and column when the template is parsed,
/// or with an error when it is met; nothing renders differently.
/// Thread safety: ChatTemplate is constant once made; so is ConversationRenderer.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/templates/evaluation/evaluator.h"
#include "common/templates/limits.h"

namespace graft::templates {

struct Conversation {
  /// Objects with role, content and whatever else the template reads. Fields that are null count as
  /// absent, and reasoning_content, thinking and reasoning stand for each other, as in transformers
  /// 5.
  OrderedJson messages = OrderedJson::array();
  OrderedJson tools;  ///< JSON schemas; null for none.
};

struct RenderOptions {
  bool add_generation_prompt = false;
  /// By the names that templates know them by: bos_token, eos_token, pad_token ...
  std::map<std::string, std::string> special_tokens;
  /// Further variables, such as enable_thinking; they win over special tokens.
  OrderedJson variables = OrderedJson::object();
  /// What strftime_now() tells; clock.h has it. Without it a template that asks is refused: the
  /// same conversation gives the same text on any day.
  std::optional<std::chrono::sys_seconds> now;
  Limits limits;
};

struct Rendered {
  std::string text;
  /// What {% generation %} blocks wrote, in order and apart from each other.
  std::vector<ByteRange> generated;
  /// Such a block stood where its place in the text can't be told: in a macro, a set or filter
  /// block or another one.
  bool has_hidden_generation = false;
  uint64_t steps = 0;  ///< Taken, of Limits::max_steps.
};

class ChatTemplate {
 public:
  /// Errors: InvalidArgument of the field "chat_template"; the detail's reason is TEMPLATE_SYNTAX.
  static StatusOr<ChatTemplate> Parse(std::string_view source, const Limits& limits = {});

  /// Errors: InvalidArgument. Of the field "chat_template" with the reason TEMPLATE_REFUSED if the
  /// template itself says no (raise_exception), TEMPLATE_LIMIT beyond a limit, TEMPLATE_FAILED if
  /// it can't be rendered; of "messages", "tools" or "variables" if they are of a wrong form.
  StatusOr<Rendered> Render(const Conversation& conversation, const RenderOptions& options) const;

  /// True if the template says itself what the assistant writes ({% generation %}).
  bool marks_generation() const { return program_->marks_generation; }
  /// True if `name` stands anywhere in the source. A field or variable that doesn't isn't read.
  bool Names(std::string_view name) const {
    return program_->source.find(name) != std::string::npos;
  }

 private:
  friend class ConversationRenderer;
  explicit ChatTemplate(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

/// Renders beginnings of one conversation, which is read once.
class ConversationRenderer {
 public:
  /// Errors: as Render's for a wrong form.
  static StatusOr<ConversationRenderer> Create(const ChatTemplate& chat_template,
                                               const Conversation& conversation,
                                               const RenderOptions& options);

  size_t num_messages() const { return messages_.size(); }
  /// Renders the first messages, in at most `max_steps`. Requires: at most all messages.
  StatusOr<Rendered> Render(size_t num_messages, bool add_generation_prompt,
                            uint64_t max_steps) const;

 private:
  ConversationRenderer() = default;

  std::shared_ptr<const Program> program_;
  std::vector<Value> messages_;
  Value tools_;
  std::vector<std::pair<std::string, Value>> variables_;
  std::optional<std::chrono::sys_seconds> now_;
  Limits limits_;
};

}  // namespace graft::templates
