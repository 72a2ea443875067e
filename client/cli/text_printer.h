#pragma once
/// Shows texts as they are generated.

#include <map>
#include <string>

#include "client/cli/context.h"
#include "graft/v1/inference.pb.h"

namespace graft::cli {

/// Of the requests of one command. With --json it prints the parts of the answers.
/// Thread safety: none.
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
    std::map<int32_t, std::string> texts;  ///< By index.
  };
  /// False if the answer can't be written.
  bool Take(const graft::v1::GenerateResponse& part, Answer& answer);
  void Finish(const Answer& answer);
  /// Says on standard error, once, which flags change nothing and what to do.
  void Warn(const graft::v1::GenerateResponse& part);

  Context& context_;
  bool has_warned_ = false;
};

}  // namespace graft::cli
