#pragma once
/// Which bytes of a rendered conversation carry loss when a model learns to answer like the
/// assistant in it. Thread safety: free function.

#include <string>
#include <vector>

#include "common/templates/chat_template.h"

namespace graft::templates {

struct TrainingText {
  std::string text;
  /// What the assistant wrote, up to and with what ends its turn; in order, with a gap between
  /// two, none empty. Transformers gives loss to each token that has a byte in one of them.
  std::vector<ByteRange> loss;
};

/// Renders the whole conversation and finds the assistant's turns in it. A template that marks them
/// ({% generation %}) is taken at its word, as TRL's assistant_only_loss takes it. For others a
/// turn is what its messages add to the text: from the end of the messages before it, rendered with
/// the generation prompt, to the end of the messages up to it. So the turn's header carries no loss
/// and the token that ends the turn does. A template that writes eos_token behind the last message
/// alone is understood: there it belongs to that turn.
///
/// A message's `weight` is 0 or 1 (OpenAI); an assistant's with 0 carries no loss. Templates don't
/// see the field. The limits hold for each rendering, but all together take the steps of one.
/// Errors: as ChatTemplate::Render; InvalidArgument, naming the message, if `weight` is something
/// else or the template renders the beginning of the conversation otherwise than the whole, so that
/// a turn has no place of its own; if the template marks nothing although the assistant speaks.
StatusOr<TrainingText> RenderForTraining(const ChatTemplate& chat_template,
                                         const Conversation& conversation,
                                         const RenderOptions& options);

}  // namespace graft::templates
