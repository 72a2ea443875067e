#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"

namespace graft::tokenizers {
namespace {

StatusOr<NormalizerPtr> ReadBertNormalizer(const Json& normalizer) {
  BertNormalizerFlags flags;
  const auto read = [&](const char* name, bool* flag) {
    const Status status = ReadFlag(kTokenizerJson, normalizer, name, flag);
    return status.ok() ? status : InvalidArgumentError(status.message() + ", in the normalizer");
  };
  GRAFT_RETURN_IF_ERROR(read("clean_text", &flags.clean_text));
  GRAFT_RETURN_IF_ERROR(read("handle_chinese_chars", &flags.handle_chinese_chars));
  GRAFT_RETURN_IF_ERROR(read("lowercase", &flags.lowercase));
  flags.strip_accents = flags.lowercase;  // What null means.
  GRAFT_RETURN_IF_ERROR(read("strip_accents", &flags.strip_accents));
  return BertNormalizer(flags);
}

/// A text field that must be there.
StatusOr<std::string> ReadText(const Json& normalizer, const char* name) {
  const Json text = Field(normalizer, name);
  if (!text.is_string()) {
    return Bad(kTokenizerJson, std::string("the normalizer's ") + name + " isn't a text");
  }
  return text.get<std::string>();
}

StatusOr<NormalizerPtr> ReadReplace(const Json& normalizer) {
  GRAFT_ASSIGN_OR_RETURN(std::string from, ReadTextPattern(Field(normalizer, "pattern"),
                                                           "the normalizer \"Replace\""));
  GRAFT_ASSIGN_OR_RETURN(std::string to, ReadText(normalizer, "content"));
  return ReplaceNormalizer(std::move(from), std::move(to));
}

StatusOr<NormalizerPtr> ReadAt(const Json& normalizer, int depth) {
  const Json type = TypeOf(normalizer);
  if (type == "BertNormalizer") return ReadBertNormalizer(normalizer);
  if (type == "Lowercase") return LowercaseNormalizer();
  if (type == "NFD") return NfdNormalizer();
  if (type == "NFC") return NfcNormalizer();
  if (type == "StripAccents") return StripAccentsNormalizer();
  if (type == "Replace") return ReadReplace(normalizer);
  if (type == "Prepend") {
    GRAFT_ASSIGN_OR_RETURN(std::string prefix, ReadText(normalizer, "prepend"));
    return PrependNormalizer(std::move(prefix));
  }
  if (type != "Sequence" || depth == kMaxDepth) return NotBuilt(kTokenizerJson, "normalizer", type);
  GRAFT_ASSIGN_OR_RETURN(
      std::vector<NormalizerPtr> parts,
      ReadParts<NormalizerPtr>(Field(normalizer, "normalizers"), "normalizer",
                               [depth](const Json& part) { return ReadAt(part, depth + 1); }));
  return SequenceNormalizer(std::move(parts));
}

}  // namespace

StatusOr<NormalizerPtr> ReadNormalizer(const Json& normalizer) {
  if (normalizer.is_null()) return SequenceNormalizer({});
  return ReadAt(normalizer, 0);
}

}  // namespace graft::tokenizers
