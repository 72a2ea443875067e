#pragma once
/// Short ways to render in tests.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "common/templates/chat_template.h"

namespace graft::templates {

/// Renders `source` with these variables and no messages.
inline StatusOr<std::string> Render(std::string_view source,
                                    const OrderedJson& variables = OrderedJson::object(),
                                    const Limits& limits = {}) {
  GRAFT_ASSIGN_OR_RETURN(const ChatTemplate parsed, ChatTemplate::Parse(source, limits));
  RenderOptions options;
  options.variables = variables;
  options.limits = limits;
  GRAFT_ASSIGN_OR_RETURN(Rendered rendered, parsed.Render({}, options));
  return std::move(rendered.text);
}

inline std::string MustRender(std::string_view source,
                              const OrderedJson& variables = OrderedJson::object()) {
  const auto text = Render(source, variables);
  EXPECT_TRUE(text.ok()) << source << ": " << text.status();
  return text.ok() ? *text : "";
}

inline ChatTemplate MustParse(std::string_view source) {
  auto parsed = ChatTemplate::Parse(source);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? std::move(parsed).value() : ChatTemplate::Parse("").value();
}

/// The reason of an error's first detail; "" if it has none.
inline std::string ReasonOf(const Status& status) {
  return status.details().empty() ? "" : status.details()[0].reason;
}

/// {"role": role, "content": content}
inline OrderedJson Message(const std::string& role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

}  // namespace graft::templates
