#pragma once
/// What a language model would read of a dataset: its tokens counted, and the examples told, with
/// their lines, that are cut, left out or refused.

#include <functional>
#include <string>

#include "common/datasets/dataset.h"
#include "common/datasets/report.h"
#include "common/language/encoder.h"
#include "server/intake/base_catalog.h"
#include "server/intake/estimate.h"

namespace graft::server::intake {

/// What a job's language model is trained with, beside its data.
struct LanguageSetup {
  tasks::LanguageTraining training;
  int max_length = 0;
  std::chrono::sys_seconds now{};  ///< The job's creation time.
  /// chat_template.jinja of the version that is continued; empty: it has none.
  std::string continued_template;
};

/// The template that conversations are rendered with: the job's, the continued version's, the
/// base's; empty for data of another shape.
/// Errors: InvalidArgument at "task.causal_lm.chat_template" with the reason NO_CHAT_TEMPLATE if
/// there is none, TEMPLATE_SYNTAX if it can't be parsed, or as templates::ReadChatFiles.
StatusOr<std::string> ChooseChatTemplate(const datasets::IngestedDataset& dataset,
                                         const LanguageSetup& setup, const Base& base);

/// Encodes every example as the engine does; `between` is called between two, and ends the work
/// with its error. Adds to the report: faults of the reason CHAT_REFUSED for conversations that the
/// template refuses, NOTHING_TO_LEARN if a split has no token to learn, and warnings.
/// Requires: the setup's template is what ChooseChatTemplate chose.
/// Errors: of `between`, and as language::Encoder::Create and EncodeSamples.
StatusOr<TokenCounts> CountLanguage(const datasets::IngestedDataset& dataset,
                                    const LanguageSetup& setup, const Base& base,
                                    const std::function<Status()>& between,
                                    datasets::Report& report);

}  // namespace graft::server::intake
