#pragma once
/// One job's file of events on disk: found as it was left, and continued. It is made again from the
/// job's events where it is lost, so nothing but its end is synced.
/// Thread safety: free functions; one caller at a time for a path.

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "common/base/status.h"
#include "server/tensorboard/event.h"

namespace graft::server::tensorboard {

struct EventFile {
  std::filesystem::path path;
  int64_t size = 0;         ///< Bytes, all of them whole records.
  int64_t last_number = 0;  ///< Of the job's events; 0: none is there.
};

/// Opens the file, or makes it, with its folders, at `wall_time`. What follows the last whole
/// record is cut off; a file that doesn't begin as one of these is begun anew. Errors: as
/// ErrnoToStatus, with the path.
StatusOr<EventFile> OpenEventFile(const std::filesystem::path& path, double wall_time);

/// Appends framed records; `last_number` is theirs. With `is_end` they are durable on return.
/// Errors: as ErrnoToStatus; Aborted if the file isn't as `file` has it. Then the file is as it was
/// or has a torn tail, and is to be opened again.
Status Append(EventFile& file, std::string_view records, int64_t last_number, bool is_end);

/// True if the file is there and ends with this record: then nothing is missing.
bool EndsWith(const std::filesystem::path& path, const Event& end);

/// Makes the folder if it isn't there, and looks whether files can be made in it.
/// Errors: as ErrnoToStatus, with the path.
Status PrepareFolder(const std::filesystem::path& folder);

}  // namespace graft::server::tensorboard
