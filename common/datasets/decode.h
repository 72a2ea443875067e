#pragma once
/// From a file's bytes to the text that the record readers know: UTF-8 with LF or CRLF. Stands on
/// bytes.h; records.h stands on it.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/datasets/bytes.h"

namespace graft::datasets {

/// Gives the text of `source`, whose bytes are already unpacked (see Gunzip):
/// - UTF-16, with a byte order mark or without one, becomes UTF-8. Without one it is known by its
///   first two characters, if those are ASCII. Byte order marks at the front are dropped.
/// - Line ends of classic Mac OS become LF: if the first 64 KiB of text have CRs and no LF, each CR
///   is one.
/// All else passes as it is; whether it is UTF-8 is for the readers to say, line by line.
/// Errors: of Read: InvalidArgument with the reason NOT_TEXT for what is known not to be text (see
/// ForeignFormat), BAD_UTF16 where UTF-16 is torn; what the source says. All text before is given.
std::unique_ptr<ByteSource> DecodeText(std::unique_ptr<ByteSource> source);

/// If a file that begins with `front` is no text but a known other thing (a workbook, Parquet, an
/// archive, a web page ...), says what it is and how to make text of it.
std::optional<std::string> ForeignFormat(std::string_view front);

/// The same by the end of a file's name, in lower case: ".xlsx", ".parquet" ...
std::optional<std::string> ForeignName(std::string_view name);

}  // namespace graft::datasets
