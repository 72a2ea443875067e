#include "common/base/utf8.h"
#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"

namespace graft::tokenizers {
namespace {

/// Reads a template in which each of the first `num_texts` texts stands once, and no other.
StatusOr<std::vector<TemplatePiece>> ReadTemplate(const Json& pieces, const Json& special_tokens,
                                                  int num_texts) {
  const Status malformed = Bad(kTokenizerJson, "the post-processor's template is malformed");
  std::vector<TemplatePiece> result;
  int texts_seen[2] = {0, 0};
  if (!pieces.is_array() || pieces.size() > 64) return malformed;
  for (const Json& piece : pieces) {
    if (!piece.is_object() || piece.size() != 1 || !piece.begin()->is_object()) return malformed;
    const Json& fields = *piece.begin();
    const Json id = Field(fields, "id");
    const Json type_id = fields.value("type_id", Json(0));
    if (!id.is_string()) return malformed;
    if (type_id != 0 && type_id != 1) {
      return Bad(kTokenizerJson, "a type_id of the post-processor's template isn't 0 or 1");
    }
    TemplatePiece out;
    out.type_id = type_id.get<int32_t>();
    if (piece.contains("Sequence")) {
      if (id != "A" && id != "B")
        return Bad(kTokenizerJson, "a template names a text that isn't A or B");
      out.sequence = id == "A" ? 0 : 1;
      ++texts_seen[out.sequence];
      result.push_back(out);
    } else if (piece.contains("SpecialToken")) {
      const auto name = id.get<std::string>();
      const Json special = special_tokens.is_object() ? special_tokens.value(name, Json()) : Json();
      if (!special.is_object()) {
        return Bad(kTokenizerJson, "a template names an unknown special token, " + Quoted(name));
      }
      const Json ids = Field(special, "ids");
      if (!ids.is_array() || ids.size() > 64) {
        return Bad(kTokenizerJson, "the special token " + Quoted(name) + " has no ids");
      }
      for (const Json& number : ids) {
        GRAFT_ASSIGN_OR_RETURN(out.id, ReadId(kTokenizerJson, number, name));
        result.push_back(out);
      }
    } else {
      return malformed;
    }
  }
  if (texts_seen[0] != 1 || texts_seen[1] != num_texts - 1) {
    return Bad(kTokenizerJson, "the post-processor's template doesn't hold each text once");
  }
  return result;
}

/// The ids of the two tokens that BERT's and RoBERTa's processors name.
StatusOr<std::pair<int32_t, int32_t>> ReadClsAndSep(const Json& post_processor) {
  int32_t ids[2];
  for (const int i : {0, 1}) {
    const char* name = i == 0 ? "cls" : "sep";
    const Json token = Field(post_processor, name);
    if (!token.is_array() || token.size() != 2) {
      return Bad(kTokenizerJson, std::string("the post-processor has no ") + name);
    }
    GRAFT_ASSIGN_OR_RETURN(ids[i], ReadId(kTokenizerJson, token[1], name));
  }
  return std::pair(ids[0], ids[1]);
}

StatusOr<Templates> ReadAt(const Json& post_processor, int depth) {
  const Json type = TypeOf(post_processor);
  if (type == "TemplateProcessing") {
    const Json special = post_processor.value("special_tokens", Json::object());
    Templates templates;
    GRAFT_ASSIGN_OR_RETURN(templates.single,
                           ReadTemplate(Field(post_processor, "single"), special, 1));
    GRAFT_ASSIGN_OR_RETURN(templates.pair, ReadTemplate(Field(post_processor, "pair"), special, 2));
    return templates;
  }
  if (type == "ByteLevel") return PlainTemplates();  // It moves offsets, which graft doesn't have.
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    GRAFT_ASSIGN_OR_RETURN(const auto ids, ReadClsAndSep(post_processor));
    const bool bert = type == "BertProcessing";
    return bert ? BertTemplates(ids.first, ids.second) : RobertaTemplates(ids.first, ids.second);
  }
  if (type != "Sequence" || depth == kMaxDepth) {
    return NotBuilt(kTokenizerJson, "post-processor", type);
  }
  GRAFT_ASSIGN_OR_RETURN(
      const std::vector<Templates> parts,
      ReadParts<Templates>(Field(post_processor, "processors"), "post-processor",
                           [depth](const Json& part) { return ReadAt(part, depth + 1); }));
  Templates templates = PlainTemplates();
  for (const Templates& part : parts) {
    if (part == PlainTemplates()) continue;
    if (templates != PlainTemplates()) {
      return NotBuilt(kTokenizerJson, "post-processor with two that add tokens,", type);
    }
    templates = part;
  }
  return templates;
}

}  // namespace

StatusOr<Templates> ReadTemplates(const Json& post_processor) {
  if (post_processor.is_null()) return PlainTemplates();
  return ReadAt(post_processor, 0);
}

}  // namespace graft::tokenizers
