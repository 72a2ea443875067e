#include "common/templates/chat_template.h"

#include "common/base/utf8.h"
#include "common/templates/syntax/names.h"
#include "common/templates/syntax/parser.h"
#include "common/templates/values/value.h"

namespace graft::templates {
namespace {

Status Misformed(const std::string& field, const std::string& what) {
  return InvalidArgumentError(field + " " + what).At(field);
}

StatusOr<Value> Converted(const OrderedJson& json, const std::string& field, const Limits& limits) {
  StatusOr<Value> value = FromJson(json, limits.max_value_depth);
  return value.ok() ? std::move(value) : Misformed(field, ": " + value.status().message());
}

/// Source: transformers 5, apply_chat_template (null fields are dropped) and
/// _alias_reasoning_fields.
StatusOr<Value> MessageValue(const OrderedJson& message, const std::string& field,
                             const Limits& limits) {
  if (!message.is_object()) return Misformed(field, "must be an object");
  const OrderedJson* reasoning = nullptr;
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    const auto found = message.find(name);
    if (reasoning == nullptr && found != message.end() && !found->is_null()) reasoning = &*found;
  }
  Dict dict;
  const auto set = [&](const std::string& name, const OrderedJson& json) -> Status {
    GRAFT_ASSIGN_OR_RETURN(Value value, Converted(json, field + "." + Printable(name), limits));
    return dict.Set(nullptr, ConstantText(name), std::move(value));
  };
  if (reasoning != nullptr) GRAFT_RETURN_IF_ERROR(set("thinking", *reasoning));
  for (const auto& item : message.items()) {
    if (!item.value().is_null()) GRAFT_RETURN_IF_ERROR(set(item.key(), item.value()));
  }
  if (reasoning != nullptr) GRAFT_RETURN_IF_ERROR(set("reasoning_content", *reasoning));
  return MakeDict(std::move(dict));
}

}  // namespace

StatusOr<ChatTemplate> ChatTemplate::Parse(std::string_view source, const Limits& limits) {
  GRAFT_ASSIGN_OR_RETURN(Program parsed, ParseTemplate(source, limits));
  const auto program = std::make_shared<Program>(std::move(parsed));
  GRAFT_RETURN_IF_ERROR(BindNames(*program));
  return ChatTemplate(program);
}

StatusOr<Rendered> ChatTemplate::Render(const Conversation& conversation,
                                        const RenderOptions& options) const {
  GRAFT_ASSIGN_OR_RETURN(const ConversationRenderer renderer,
                         ConversationRenderer::Create(*this, conversation, options));
  return renderer.Render(renderer.num_messages(), options.add_generation_prompt,
                         options.limits.max_steps);
}

StatusOr<ConversationRenderer> ConversationRenderer::Create(const ChatTemplate& chat_template,
                                                            const Conversation& conversation,
                                                            const RenderOptions& options) {
  ConversationRenderer renderer;
  renderer.program_ = chat_template.program_;
  renderer.now_ = options.now;
  renderer.limits_ = options.limits;
  if (!conversation.messages.is_array()) return Misformed("messages", "must be a list");
  for (const OrderedJson& message : conversation.messages) {
    const std::string field = "messages[" + std::to_string(renderer.messages_.size()) + "]";
    GRAFT_ASSIGN_OR_RETURN(Value value, MessageValue(message, field, options.limits));
    renderer.messages_.push_back(std::move(value));
  }
  if (!conversation.tools.is_null() && !conversation.tools.is_array())
    return Misformed("tools", "must be a list");
  GRAFT_ASSIGN_OR_RETURN(renderer.tools_, Converted(conversation.tools, "tools", options.limits));
  for (const auto& [name, token] : options.special_tokens)
    renderer.variables_.emplace_back(name, ConstantText(token));
  if (!options.variables.is_object()) return Misformed("variables", "must be an object");
  for (const auto& item : options.variables.items()) {
    const std::string& name = item.key();
    for (const char* taken : {"messages", "tools", "documents", "add_generation_prompt"}) {
      if (name == taken)
        return Misformed("variables." + name,
                         "can't be set: the template has it from the conversation itself");
    }
    GRAFT_ASSIGN_OR_RETURN(Value value,
                           Converted(item.value(), "variables." + Printable(name), options.limits));
    renderer.variables_.emplace_back(name, std::move(value));
  }
  return renderer;
}

StatusOr<Rendered> ConversationRenderer::Render(size_t num_messages, bool add_generation_prompt,
                                                uint64_t max_steps) const {
  Limits limits = limits_;
  limits.max_steps = max_steps;
  Session session(limits, now_);
  Dict context;
  const auto set = [&](const std::string& name, Value value) {
    return context.Set(nullptr, ConstantText(name), std::move(value));
  };
  for (const auto& [name, value] : variables_) GRAFT_RETURN_IF_ERROR(set(name, value));
  std::vector<Value> messages(messages_.begin(),
                              messages_.begin() + static_cast<std::ptrdiff_t>(num_messages));
  GRAFT_ASSIGN_OR_RETURN(Value list, MakeList(session, std::move(messages)));
  GRAFT_RETURN_IF_ERROR(set("messages", std::move(list)));
  GRAFT_RETURN_IF_ERROR(set("tools", tools_));
  GRAFT_RETURN_IF_ERROR(set("documents", None()));
  GRAFT_RETURN_IF_ERROR(set("add_generation_prompt", add_generation_prompt));
  GRAFT_ASSIGN_OR_RETURN(Evaluated evaluated, Evaluator(*program_, session, context).Run());
  return Rendered{std::move(evaluated.text), std::move(evaluated.generated),
                  evaluated.has_hidden_generation, session.spent()};
}

}  // namespace graft::templates
