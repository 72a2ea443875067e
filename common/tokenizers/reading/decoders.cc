#include "common/base/utf8.h"
#include "common/tokenizers/reading/metaspace.h"
#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"

namespace graft::tokenizers {
namespace {

StatusOr<DecoderPtr> ReadPieces(const Json& decoder) {
  const Json prefix = decoder.value("prefix", Json("##"));
  if (!prefix.is_string()) return Bad(kTokenizerJson, "the decoder's prefix isn't a text");
  bool cleanup = true;
  GRAFT_RETURN_IF_ERROR(ReadFlag(kTokenizerJson, decoder, "cleanup", &cleanup));
  return WordPieceDecoder(prefix.get<std::string>(), cleanup);
}

StatusOr<DecoderPtr> ReadReplace(const Json& decoder) {
  GRAFT_ASSIGN_OR_RETURN(std::string from,
                         ReadTextPattern(Field(decoder, "pattern"), "the decoder \"Replace\""));
  const Json to = Field(decoder, "content");
  if (!to.is_string()) return Bad(kTokenizerJson, "the decoder's content isn't a text");
  return ReplaceDecoder(std::move(from), to.get<std::string>());
}

StatusOr<DecoderPtr> ReadStrip(const Json& decoder, StripFrom from) {
  const Json content = Field(decoder, "content");
  const std::string text = content.is_string() ? content.get<std::string>() : "";
  if (text.empty() || FirstCode(text).length != text.size()) {
    return Bad(kTokenizerJson, "the content of the decoder \"Strip\" isn't one character");
  }
  const Json start = Field(decoder, "start");
  const Json stop = Field(decoder, "stop");
  if (!start.is_number_unsigned() || !stop.is_number_unsigned()) {
    return Bad(kTokenizerJson, "the decoder \"Strip\" has no counts");
  }
  if (stop != 0) return NotBuilt(kTokenizerJson, "decoder \"Strip\" with a stop of", stop);
  return StripDecoder(text, start.get<size_t>(), from);
}

/// Reads components in the order in which they take tokens.
class Reader {
 public:
  /// Appends the decoders of a component, none for one that changes no text.
  Status Read(const Json& component, int depth, std::vector<DecoderPtr>* out) {
    const Json type = TypeOf(component);
    if (type == "Sequence" && depth < kMaxDepth) {
      const Json parts = Field(component, "decoders");
      if (!parts.is_array() || parts.size() > kMaxParts) {
        return Bad(kTokenizerJson,
                   "the decoder's Sequence isn't a list of at most " + std::to_string(kMaxParts));
      }
      for (const Json& part : parts) GRAFT_RETURN_IF_ERROR(Read(part, depth + 1, out));
      return OkStatus();
    }
    if (type == "Fuse") {
      is_one_ = true;
      return OkStatus();
    }
    if (is_one_ && type != "Strip") {
      return NotBuilt(kTokenizerJson, "decoder behind one that joins all tokens,", type);
    }
    GRAFT_ASSIGN_OR_RETURN(DecoderPtr made, ReadOne(component, type));
    out->push_back(std::move(made));
    return OkStatus();
  }

 private:
  StatusOr<DecoderPtr> ReadOne(const Json& component, const Json& type) {
    if (type == "WordPiece") return ReadPieces(component);
    if (type == "ByteFallback") return ByteFallbackDecoder();
    if (type == "Replace") return ReadReplace(component);
    if (type == "Strip") {
      return ReadStrip(component, is_one_ ? StripFrom::kText : StripFrom::kEachToken);
    }
    if (type == "ByteLevel") {
      is_one_ = true;
      return ByteLevelDecoder();
    }
    if (type == "Metaspace") {
      GRAFT_ASSIGN_OR_RETURN(MetaspaceFields metaspace, ReadMetaspace(component, "decoder"));
      return MetaspaceDecoder(std::move(metaspace.mark), metaspace.scheme != PrependScheme::kNever);
    }
    return NotBuilt(kTokenizerJson, "decoder", type);
  }

  bool is_one_ = false;  ///< All tokens are one by now, whose pieces come.
};

}  // namespace

StatusOr<DecoderPtr> ReadDecoder(const Json& decoder) {
  if (decoder.is_null()) return SpacesDecoder();
  std::vector<DecoderPtr> parts;
  GRAFT_RETURN_IF_ERROR(Reader().Read(decoder, 0, &parts));
  if (parts.size() == 1) return std::move(parts[0]);
  return SequenceDecoder(std::move(parts));
}

}  // namespace graft::tokenizers
