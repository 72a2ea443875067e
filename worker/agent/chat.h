#pragma once
/// Chats as the text that a model reads: a request's messages, rendered by the template of its
/// version or base.

#include <list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/templates/chat_files.h"
#include "common/templates/chat_template.h"
#include "graft/v1/generation.pb.h"

namespace graft::worker::agent {

/// The messages and tools as templates know them.
/// Errors: InvalidArgument with the field's path below "chat" if there is no message, a role is
/// unknown, a message lacks what its role has or has what its role hasn't, or a JSON text isn't
/// what it should be.
StatusOr<templates::Conversation> ToConversation(const graft::v1::Chat& chat);

struct RenderedChat {
  std::string text;
  /// What the template can't read of the chat, by path: "chat.tools", "chat.variables.style".
  std::vector<std::string> unread;
};

/// Renders chats up to where the model's answer begins. Keeps the templates that it parsed last.
/// Thread safety: thread-safe. A template may take seconds: not for a thread that others wait for.
class ChatRenderer {
 public:
  /// `variables`: an object of those that the template gets where the chat has none of that name.
  /// Errors: as ToConversation's; FailedPrecondition with reason NO_CHAT_TEMPLATE if there is none;
  /// InvalidArgument with one of ChatTemplate's reasons if it can't be parsed or says no, at
  /// "chat_template", or at the path below "chat" of the field that it can't read.
  StatusOr<RenderedChat> Render(const templates::ChatFiles& files, const graft::v1::Chat& chat,
                                const Json& variables = Json::object());

 private:
  StatusOr<templates::ChatTemplate> Parsed(const std::string& source);

  std::mutex mutex_;
  /// By source, most recently used first. Guarded by mutex_.
  std::list<std::pair<std::string, templates::ChatTemplate>> parsed_;
};

}  // namespace graft::worker::agent
