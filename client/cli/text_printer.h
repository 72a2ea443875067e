#pragma once
/// Shows texts as they are generated.

#include <map>
#include <string>

#include "client/cli/context.h"
#include "graft/v1/inference.pb.h"

namespace graft::cli {

/// Of the requests of one command. With --json it prints the parts of the answers. A terminal is
/// shown a model's control characters escaped, for it would obey them; elsewhere the text goes as
/// it is. Thread safety: none.
class TextPrinter {
 public:
  explicit TextPrinter(Context& context) : context_(context) {}

  /// Asks for the texts of one request and shows them: one as it comes, of several each when all
  /// are over. Returns the first, as the model wrote it. Errors: as Client::Generate.
  StatusOr<std::string> Show(const graft::v1::GenerateRequest& request);

 private:
  /// What came of one request.
  struct Answer {
    bool is_several = false;
    int64_t max_tokens = 0;                ///< As it was asked for; 0: it wasn't.
    std::map<int32_t, std::string> texts;  ///< By index.
    std::map<int32_t, int64_t> cut;        ///< Those that didn't end by themselves: their tokens.
  };
  /// False if the answer can't be written.
  bool Take(const graft::v1::GenerateResponse& part, Answer& answer);
  void Finish(const Answer& answer);
  std::string Shown(const std::string& text) const;
  /// At a terminal says which texts were cut, and where, for they look like those that ended.
  void TellCuts(const Answer& answer);
  /// Says on standard error, once, which flags change nothing and what to do.
  void Warn(const graft::v1::GenerateResponse& part);

  Context& context_;
  bool has_warned_ = false;
};

}  // namespace graft::cli
