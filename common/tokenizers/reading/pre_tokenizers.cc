#include "common/base/utf8.h"
#include "common/tokenizers/reading/metaspace.h"
#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"

namespace graft::tokenizers {
namespace {

Status NotHere(const std::string& type, const std::string& where) {
  return UnimplementedError(std::string(kTokenizerJson) + ": the pre-tokenizer " + Quoted(type) +
                            " isn't built " + where);
}

/// Only a pattern that is known, and words that are its matches.
StatusOr<PreTokenizerPtr> ReadSplit(const Json& split) {
  const std::string of = "the pre-tokenizer \"Split\"";
  const Json pattern = Field(split, "pattern");
  const Json regex = Field(pattern, "Regex");
  const auto known = regex.is_string() ? KnownPattern(regex.get<std::string>()) : std::nullopt;
  if (!known) {
    GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadTextPattern(pattern, of));
    return UnimplementedError(std::string(kTokenizerJson) + ": the pattern " + Quoted(text) +
                              " of " + of + " isn't built");
  }
  GRAFT_ASSIGN_OR_RETURN(const bool invert, ReadNeededFlag(split, "invert", of));
  // Matches cover every text: to keep them and what is between them, or only them, is the same.
  const Json behavior = Field(split, "behavior");
  if (behavior == (invert ? "Removed" : "Isolated")) return PatternSplit(*known);
  return NotBuilt(kTokenizerJson, std::string(invert ? "inverted " : "") + "behavior of " + of,
                  behavior);
}

/// Reads components in the order in which they cut a text.
class Reader {
 public:
  StatusOr<PreTokenizerPtr> ReadAt(const Json& component, int depth) {
    const Json type = TypeOf(component);
    if (type == "Sequence" && depth < kMaxDepth) {
      GRAFT_ASSIGN_OR_RETURN(
          std::vector<PreTokenizerPtr> parts,
          ReadParts<PreTokenizerPtr>(Field(component, "pretokenizers"), "pre-tokenizer",
                                     [&](const Json& part) { return ReadAt(part, depth + 1); }));
      return SequencePreTokenizer(std::move(parts));
    }
    if (byte_level_) return NotHere("ByteLevel", "where others follow it");
    StatusOr<PreTokenizerPtr> made = ReadOne(component, type);
    is_first_ = false;
    return made;
  }
  bool byte_level() const { return byte_level_; }

 private:
  StatusOr<PreTokenizerPtr> ReadOne(const Json& component, const Json& type) {
    if (type == "BertPreTokenizer") return BertPreTokenizer();
    if (type == "Whitespace") return WhitespacePreTokenizer();
    if (type == "WhitespaceSplit") return WhitespaceSplit();
    if (type == "Punctuation" && component.value("behavior", Json("Isolated")) == "Isolated") {
      return PunctuationPreTokenizer();
    }
    if (type == "Split") return ReadSplit(component);
    if (type == "Digits") {
      GRAFT_ASSIGN_OR_RETURN(const bool individual, ReadNeededFlag(component, "individual_digits",
                                                                   "the pre-tokenizer \"Digits\""));
      return DigitsPreTokenizer(individual);
    }
    if (type == "ByteLevel") {
      GRAFT_ASSIGN_OR_RETURN(const bool prefix, ReadNeededFlag(component, "add_prefix_space",
                                                               "the pre-tokenizer \"ByteLevel\""));
      bool use_pattern = true;
      GRAFT_RETURN_IF_ERROR(ReadFlag(kTokenizerJson, component, "use_regex", &use_pattern));
      byte_level_ = true;
      return ByteLevelPreTokenizer(prefix, use_pattern);
    }
    if (type == "Metaspace") {
      GRAFT_ASSIGN_OR_RETURN(MetaspaceFields metaspace, ReadMetaspace(component, "pre-tokenizer"));
      if (metaspace.scheme == PrependScheme::kFirst && !is_first_) {
        return NotHere("Metaspace", "with the prepend_scheme first behind others");
      }
      return MetaspacePreTokenizer(std::move(metaspace.mark), metaspace.scheme, metaspace.split);
    }
    return NotBuilt(kTokenizerJson, "pre-tokenizer", type);
  }

  bool byte_level_ = false;
  bool is_first_ = true;
};

}  // namespace

StatusOr<PreTokenization> ReadPreTokenizer(const Json& pre_tokenizer) {
  if (pre_tokenizer.is_null()) return PreTokenization{WholeText(), false};
  Reader reader;
  GRAFT_ASSIGN_OR_RETURN(PreTokenizerPtr made, reader.ReadAt(pre_tokenizer, 0));
  return PreTokenization{std::move(made), reader.byte_level()};
}

}  // namespace graft::tokenizers
