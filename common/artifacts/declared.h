#pragma once
/// What a foreign adapter's folder says of itself beside its method: labels, the kind of problem,
/// the length of its texts, its tokenizer. Each is used, or the difference is said.

#include <string>
#include <vector>

#include "common/artifacts/artifact.h"
#include "common/base/status.h"

namespace graft::artifacts {

struct Declared {
  std::vector<std::string> label_names;  ///< In id order; empty if no file says, or only LABEL_0.
  int max_length = 0;                    ///< 0 if no file says.
  std::string base;                      ///< config.json's own name of it; empty if it doesn't say.
  std::vector<std::string> passed_over;  ///< A sentence for each statement that can't be used.
};

/// Reads config.json and tokenizer_config.json of an adapter for a base of this layout, whose head
/// has `head_outputs` (0: unknown).
/// Errors: InvalidArgument if one is malformed or the problem isn't classification of one label.
StatusOr<Declared> ReadDeclared(const Files& files, const families::Layout& layout,
                                int64_t head_outputs);

/// True for LABEL_0, LABEL_1, ..., as transformers and AdapterHub call labels without names; and
/// for none.
bool AreStandIns(const std::vector<std::string>& names);
/// True for 0, 1, ..., and for none.
bool AreNumbers(const std::vector<std::string>& names);

/// Errors: InvalidArgument if the folder's own tokenizer numbers a text otherwise than the base's;
/// the sentence names a token.
Status CheckTokenizer(const ImportRequest& request, const Files& files);

/// Labels as training takes them: two at least, none empty, no two that are one label
/// (datasets::SameLabelKey), as many as the head has outputs (0: unknown). `names_given` tells
/// whose they are. Errors: InvalidArgument.
Status CheckLabels(const std::vector<std::string>& names, int64_t head_outputs, bool names_given);

}  // namespace graft::artifacts
