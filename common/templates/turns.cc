#include "common/templates/turns.h"

#include <algorithm>
#include <optional>

namespace graft::templates {
namespace {

std::string Place(size_t message) { return "messages[" + std::to_string(message) + "]"; }

Status Refused(size_t message, const std::string& what) {
  return InvalidArgumentError(Place(message) + ": " + what).At(Place(message), "TURN_HAS_NO_PLACE");
}

struct Turns {
  std::vector<size_t> assistant;  ///< Messages that it wrote.
  std::vector<bool> counts;       ///< One each: whether it carries loss.
  bool all_count = true;
};

/// Takes `weight` out of the messages. Requires: they are a list.
StatusOr<Turns> TakeWeights(OrderedJson& messages) {
  Turns turns;
  for (size_t i = 0; i < messages.size(); ++i) {
    OrderedJson& message = messages[i];
    if (!message.is_object()) continue;  // Rendering says so.
    bool counts = true;
    if (message.contains("weight")) {
      const OrderedJson weight = message["weight"];
      if (!weight.is_null() && weight != 0 && weight != 1) {
        const std::string field = Place(i) + ".weight";
        return InvalidArgumentError(field + " must be 0 or 1").At(field);
      }
      counts = weight.is_null() || weight == 1;
      message.erase("weight");
    }
    if (message.value("role", OrderedJson()) != "assistant") continue;
    turns.assistant.push_back(i);
    turns.counts.push_back(counts);
    turns.all_count = turns.all_count && counts;
  }
  return turns;
}

/// Renders beginnings of one conversation and compares them with the whole.
class Beginnings {
 public:
  static StatusOr<Beginnings> Create(const ChatTemplate& chat_template,
                                     const Conversation& conversation,
                                     const RenderOptions& options) {
    GRAFT_ASSIGN_OR_RETURN(ConversationRenderer renderer,
                           ConversationRenderer::Create(chat_template, conversation, options));
    Beginnings beginnings(std::move(renderer), options);
    GRAFT_ASSIGN_OR_RETURN(beginnings.whole_,
                           beginnings.Render(beginnings.renderer_.num_messages(), false));
    return beginnings;
  }

  Rendered& whole() { return whole_; }

  /// Where the turn of the message at `index` begins: behind the generation prompt.
  StatusOr<size_t> BeginOf(size_t index) {
    const auto rendered = Render(index, true);
    if (!rendered.ok())
      return Refused(index,
                     "the messages before it can't be rendered: " + rendered.status().message());
    if (whole_.text.starts_with(rendered->text)) return rendered->text.size();
    return Refused(index,
                   "the template renders the messages before it, with the prompt for an answer, "
                   "otherwise than within the whole conversation");
  }

  /// Where the turn of the message at `index` ends.
  StatusOr<size_t> EndOf(size_t index) {
    if (index + 1 == renderer_.num_messages()) return whole_.text.size();
    const auto rendered = Render(index + 1, false);
    if (!rendered.ok())
      return Refused(index,
                     "the messages up to it can't be rendered: " + rendered.status().message());
    std::string_view text = rendered->text;
    if (whole_.text.starts_with(text)) return text.size();
    if (!eos_token_.empty() && text.ends_with(eos_token_)) {
      text.remove_suffix(eos_token_.size());
      if (whole_.text.starts_with(text)) return text.size();
    }
    return Refused(index,
                   "the template renders the messages up to it otherwise than within the whole "
                   "conversation");
  }

 private:
  Beginnings(ConversationRenderer renderer, const RenderOptions& options)
      : renderer_(std::move(renderer)), steps_left_(options.limits.max_steps) {
    const auto eos = options.special_tokens.find("eos_token");
    if (eos != options.special_tokens.end()) eos_token_ = eos->second;
  }

  StatusOr<Rendered> Render(size_t num_messages, bool add_generation_prompt) {
    StatusOr<Rendered> rendered =
        renderer_.Render(num_messages, add_generation_prompt, steps_left_);
    if (rendered.ok()) steps_left_ -= rendered->steps;
    return rendered;
  }

  ConversationRenderer renderer_;
  Rendered whole_;
  std::string eos_token_;
  uint64_t steps_left_;
};

/// What the template marked, but for the turns that don't count.
StatusOr<std::vector<ByteRange>> MarkedRanges(const Turns& turns, Beginnings& beginnings) {
  const Rendered& whole = beginnings.whole();
  if (whole.has_hidden_generation) {
    return InvalidArgumentError(
               "the template has a {% generation %} within a macro, a block or another one, so "
               "what "
               "it marks has no place in the text")
        .At("chat_template", "TURN_HAS_NO_PLACE");
  }
  std::vector<ByteRange> ranges = whole.generated;
  const bool is_empty = std::all_of(ranges.begin(), ranges.end(), [](const ByteRange& range) {
    return range.begin == range.end;
  });
  if (is_empty && !turns.assistant.empty()) {
    return InvalidArgumentError(
               "the template marks nothing of this conversation as the assistant's")
        .At("chat_template", "TURN_HAS_NO_PLACE");
  }
  for (size_t i = 0; i < turns.assistant.size(); ++i) {
    if (turns.counts[i]) continue;
    const size_t message = turns.assistant[i];
    size_t begin = 0;
    if (message > 0) {
      GRAFT_ASSIGN_OR_RETURN(begin, beginnings.EndOf(message - 1));
    }
    GRAFT_ASSIGN_OR_RETURN(const size_t end, beginnings.EndOf(message));
    std::erase_if(ranges,
                  [&](const ByteRange& range) { return range.begin >= begin && range.end <= end; });
  }
  return ranges;
}

StatusOr<std::vector<ByteRange>> AddedRanges(const Turns& turns, Beginnings& beginnings) {
  std::vector<ByteRange> ranges;
  for (size_t i = 0; i < turns.assistant.size(); ++i) {
    if (!turns.counts[i]) continue;
    GRAFT_ASSIGN_OR_RETURN(const size_t begin, beginnings.BeginOf(turns.assistant[i]));
    GRAFT_ASSIGN_OR_RETURN(const size_t end, beginnings.EndOf(turns.assistant[i]));
    if (end < begin)
      return Refused(turns.assistant[i], "the template renders less of it than its own prompt");
    ranges.push_back({begin, end});
  }
  return ranges;
}

/// Without empty ranges, and what follows each other without a gap made one.
std::vector<ByteRange> Joined(const std::vector<ByteRange>& ranges) {
  std::vector<ByteRange> joined;
  for (const ByteRange& range : ranges) {
    if (range.begin == range.end) continue;
    if (!joined.empty() && joined.back().end == range.begin) {
      joined.back().end = range.end;
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

}  // namespace

StatusOr<TrainingText> RenderForTraining(const ChatTemplate& chat_template,
                                         const Conversation& conversation,
                                         const RenderOptions& options) {
  Conversation weighted = conversation;
  Turns turns;
  if (weighted.messages.is_array()) {
    GRAFT_ASSIGN_OR_RETURN(turns, TakeWeights(weighted.messages));
  }
  GRAFT_ASSIGN_OR_RETURN(Beginnings beginnings,
                         Beginnings::Create(chat_template, weighted, options));
  TrainingText text;
  GRAFT_ASSIGN_OR_RETURN(const auto ranges, chat_template.marks_generation()
                                                ? MarkedRanges(turns, beginnings)
                                                : AddedRanges(turns, beginnings));
  text.loss = Joined(ranges);
  text.text = std::move(beginnings.whole().text);
  return text;
}

}  // namespace graft::templates
