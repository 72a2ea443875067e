#pragma once
/// Tar archives of plain files, as their bytes come and go: pure, and bounded in memory by what is
/// fed at once.
/// Source: POSIX.1-1988 ustar, of pax (POSIX.1-2001) the records path and size, and GNU tar's long
/// names.
/// Thread safety: confined to one thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::server::rest {

/// What stands in front of a file's bytes; behind them comes TarPadding, behind the last TarEnd.
/// Requires: a name of at most 100 bytes, a size below 8 GiB; beyond that it is a pax record.
std::string TarHeader(const std::string& name, int64_t size);
std::string TarPadding(int64_t size);
std::string TarEnd();

class TarReader {
 public:
  struct Event {
    enum class Kind {
      kMore,  ///< Feed more.
      kFile,  ///< A file begins: its name without folders, and its size.
      kData,  ///< Bytes of it.
      kEnd,   ///< All are over.
    } kind = Kind::kMore;
    std::string name;
    int64_t size = 0;
    std::string data;
  };
  void Feed(std::string_view bytes) { buffer_ += bytes; }
  /// What comes next. Folders are passed over. Errors: InvalidArgument for what is no tar, a
  /// checksum that is wrong, a link or a device, at which it stays.
  StatusOr<Event> Next();

 private:
  StatusOr<Event> NextHeader();
  StatusOr<Event> NextData();
  /// What stands behind a pax header, or one of GNU's long names. False while it isn't all there.
  StatusOr<bool> TakeAside();
  /// Of a pax header.
  Status TakeRecords(std::string_view records);

  std::string buffer_;
  int64_t left_ = 0;      ///< Bytes of the file that are still to come,
  int64_t padding_ = 0;   ///< and of what fills its last block.
  int64_t aside_ = 0;     ///< Size of what comes next, if that tells of a file that follows,
  bool is_name_ = false;  ///< and whether it is GNU's long name.
  std::string path_;      ///< What was told of the next file.
  int64_t size_ = -1;
  bool has_begun_ = false;
  bool is_over_ = false;
};

}  // namespace graft::server::rest
