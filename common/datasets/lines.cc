#include "common/datasets/lines.h"

#include <optional>
#include <utility>

#include "common/datasets/decode.h"
#include "common/datasets/dialect.h"
#include "common/datasets/record_faults.h"
#include "common/datasets/window.h"

namespace graft::datasets {
namespace {

constexpr size_t kMaxLineBytes = size_t{1} << 30;

Status At(int64_t line, const std::string& what) {
  return InvalidArgumentError("line " + std::to_string(line) + ": " + what);
}

}  // namespace

StatusOr<std::vector<Line>> ReadLines(std::unique_ptr<ByteSource> source) {
  Window window(DecodeText(Gunzip(std::move(source))));
  ByteSet at_newline{};
  at_newline['\n'] = true;
  std::vector<Line> lines;
  std::optional<int64_t> blank;  // The first one behind the last text.
  while (window.At(0) >= 0) {
    const size_t end = window.Find(0, at_newline, kMaxLineBytes);
    const int stop = window.At(end);
    GRAFT_RETURN_IF_ERROR(window.status());
    const int64_t number = window.line();
    if (end >= kMaxLineBytes) return At(number, "it is longer than 1 GiB, which is the limit");
    std::string_view text = window.Slice(0, end);
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (const auto bad = CheckUtf8(text, number, "")) return At(number, bad->message);
    if (IsBlank(text)) {
      if (!blank) blank = number;
    } else {
      if (blank) return At(*blank, "it is blank; fill it in or drop it");
      lines.push_back({number, std::string(text)});
    }
    window.Consume(end + (stop < 0 ? 0 : 1));
  }
  GRAFT_RETURN_IF_ERROR(window.status());
  return lines;
}

}  // namespace graft::datasets
