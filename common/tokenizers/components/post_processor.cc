#include "common/tokenizers/components/post_processor.h"

#include <algorithm>

namespace graft::tokenizers {
namespace {

class FromTemplates : public PostProcessor {
 public:
  explicit FromTemplates(Templates templates) : templates_(std::move(templates)) {}

  size_t num_added(bool pair) const override {
    const auto& pieces = pair ? templates_.pair : templates_.single;
    return static_cast<size_t>(
        std::count_if(pieces.begin(), pieces.end(), [](const auto& p) { return p.sequence < 0; }));
  }

  Encoding Assemble(const std::vector<int32_t>& a, const std::vector<int32_t>* b) const override {
    Encoding encoding;
    for (const TemplatePiece& piece : b != nullptr ? templates_.pair : templates_.single) {
      if (piece.sequence < 0) {
        encoding.ids.push_back(piece.id);
      } else {
        const std::vector<int32_t>& ids = piece.sequence == 0 ? a : *b;
        encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
      }
      encoding.type_ids.resize(encoding.ids.size(), piece.type_id);
    }
    return encoding;
  }

  Json Form() const override {
    Json form = Json::array();
    for (const auto* pieces : {&templates_.single, &templates_.pair}) {
      Json list = Json::array();
      for (const TemplatePiece& piece : *pieces) {
        list.push_back({piece.sequence, piece.id, piece.type_id});
      }
      form.push_back(list);
    }
    return form;
  }

 private:
  const Templates templates_;
};

}  // namespace

Templates BertTemplates(int32_t cls, int32_t sep) {
  return {{{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}},
          {{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}, {1, 0, 1}, {-1, sep, 1}}};
}

Templates PlainTemplates() { return {{{0, 0, 0}}, {{0, 0, 0}, {1, 0, 1}}}; }

Templates RobertaTemplates(int32_t cls, int32_t sep) {
  return {{{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}},
          {{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}, {-1, sep, 0}, {1, 0, 0}, {-1, sep, 0}}};
}

PostProcessorPtr TemplatePostProcessor(Templates templates) {
  return std::make_unique<FromTemplates>(std::move(templates));
}

}  // namespace graft::tokenizers
