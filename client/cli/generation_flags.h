#pragma once
/// The flags of generate and chat: who answers, and how the text is generated.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/command_line/command_line.h"
#include "graft/v1/inference.pb.h"

namespace graft::cli {

struct GenerationFlags {
  std::string adapter, base;
  std::optional<int64_t> max_tokens, min_tokens, top_k;
  std::optional<double> temperature, top_p, min_p;
  std::optional<double> repetition_penalty, frequency_penalty, presence_penalty;
  std::optional<uint64_t> seed;
  std::optional<int> n, logprobs;
  std::vector<std::string> stop, end_tokens, logit_bias;
  std::string system;                           ///< Of a chat: its first message.
  std::vector<std::string> template_variables;  ///< Of a chat.
};

/// Add flags to a command, which `flags` must outlive. Who answers:
void AddModelFlags(command_line::Command command, std::string& adapter, std::string& base);
/// How one text is generated.
void AddGenerationFlags(command_line::Command command, GenerationFlags& flags);
/// What a chat has besides its messages.
void AddChatFlags(command_line::Command command, GenerationFlags& flags);

/// A request without its prompt or chat. Errors: a usage error that names the flag.
StatusOr<graft::v1::GenerateRequest> MakeRequest(const GenerationFlags& flags);
/// A chat with the system message and variables that the flags say. Errors: likewise.
StatusOr<graft::v1::Chat> MakeChat(const GenerationFlags& flags);

}  // namespace graft::cli
