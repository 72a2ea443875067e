#include "server/intake/dataset_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"
#include "common/objects/keys.h"
#include "server/intake/uploads.h"

namespace graft::server::intake {
namespace {

namespace fs = std::filesystem;
using datasets::ByteSource;
using datasets::SourceFile;

constexpr std::string_view kFile = "file://";
constexpr std::string_view kDataset = "graft://datasets/";

/// Pulls an object in pieces, so that a large upload is never whole in memory twice.
class ObjectSource : public ByteSource {
 public:
  ObjectSource(objects::ObjectStore& store, std::string key)
      : store_(store), key_(std::move(key)) {}
  StatusOr<size_t> Read(char* buffer, size_t size) override {
    if (used_ == piece_.size()) {
      GRAFT_ASSIGN_OR_RETURN(piece_, store_.ReadRange(key_, offset_, kPiece));
      offset_ += piece_.size();
      used_ = 0;
    }
    const size_t n = std::min(size, piece_.size() - used_);
    std::copy_n(piece_.data() + used_, n, buffer);
    used_ += n;
    return n;
  }

 private:
  static constexpr uint64_t kPiece = 1 << 20;
  objects::ObjectStore& store_;
  const std::string key_;
  uint64_t offset_ = 0;
  std::string piece_;
  size_t used_ = 0;
};

class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

/// Reads an open file from its start, whatever its name has come to mean.
class OpenFileSource : public ByteSource {
 public:
  OpenFileSource(std::shared_ptr<const OpenFile> file, std::string name)
      : file_(std::move(file)), name_(std::move(name)) {}
  StatusOr<size_t> Read(char* buffer, size_t size) override {
    if (!status_.ok()) return status_;
    ssize_t count = -1;
    do {
      count = ::pread(file_->fd(), buffer, size, offset_);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      status_ = ErrnoToStatus(errno, "reading " + name_);
      return status_;
    }
    offset_ += count;
    return static_cast<size_t>(count);
  }

 private:
  const std::shared_ptr<const OpenFile> file_;
  const std::string name_;
  off_t offset_ = 0;
  Status status_;
};

/// Where an open file really lies, as the kernel says; nothing if it can't be told.
std::optional<fs::path> PlaceOf(const OpenFile& file) {
  std::error_code error;
  fs::path real = fs::read_symlink("/proc/self/fd/" + std::to_string(file.fd()), error);
  if (error) return {};
  return real;
}

/// By names alone. Requires: both are absolute and without links.
bool LiesBelow(const fs::path& real, const fs::path& root) {
  return std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
}

fs::path Canonical(const fs::path& root) {
  std::error_code error;
  fs::path real = fs::canonical(root, error);
  return error ? root : real;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Undoes %20 and the like.
StatusOr<std::string> PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return InvalidArgumentError("a % in a URI must be followed by two hex digits");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (out.find('\0') != std::string::npos)
    return InvalidArgumentError("a path can't hold a zero byte");
  return out;
}

}  // namespace

DatasetSources::DatasetSources(std::vector<fs::path> roots, objects::ObjectStore& objects)
    : objects_(objects) {
  for (const fs::path& root : roots) roots_.push_back(Canonical(root));
}

StatusOr<SourceFile> DatasetSources::ResolveFile(const std::string& uri) const {
  GRAFT_ASSIGN_OR_RETURN(const std::string decoded,
                         PercentDecode(std::string_view(uri).substr(kFile.size())));
  const fs::path path(decoded);
  if (!path.is_absolute()) {
    return InvalidArgumentError(
        Quoted(uri, 256) +
        " must name an absolute path on the server, as in file:///data/train.csv");
  }
  const std::string shown = Printable(path.string(), 256);
  const auto outside = [&] {
    return PermissionDeniedError(
        roots_.empty()
            ? "file:// is off: the server was started without --data-roots; upload the file "
              "instead (graft upload)"
            : shown + " lies outside the server's --data-roots");
  };
  const auto no_file = [&] { return InvalidArgumentError(shown + " is not a regular file"); };
  // What lies outside isn't even opened, so that nobody learns what is there.
  if (!std::any_of(roots_.begin(), roots_.end(),
                   [&](const fs::path& root) { return IsInside(path, root); })) {
    return outside();
  }
  // Non-blocking: opening a FIFO must not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
      return NotFoundError("there is no file " + shown);
    return errno == ENXIO ? no_file() : ErrnoToStatus(errno, "opening " + shown);
  }
  const auto file = std::make_shared<const OpenFile>(fd);
  // A link may have been swapped in since: what counts is what was opened, and that is what is
  // read.
  const std::optional<fs::path> real = PlaceOf(*file);
  if (!real || !std::any_of(roots_.begin(), roots_.end(),
                            [&](const fs::path& root) { return LiesBelow(*real, root); })) {
    return outside();
  }
  struct stat info {};
  if (::fstat(file->fd(), &info) != 0) return ErrnoToStatus(errno, "looking at " + shown);
  if (!S_ISREG(info.st_mode)) return no_file();
  return SourceFile{path.filename().string(),
                    [file, shown]() -> StatusOr<std::unique_ptr<ByteSource>> {
                      return std::make_unique<OpenFileSource>(file, shown);
                    }};
}

StatusOr<SourceFile> DatasetSources::ResolveUpload(const std::string& tenant,
                                                   const std::string& uri) const {
  const std::string path = uri.substr(kDataset.size());
  const size_t slash = path.find('/');
  const std::string sha256 = path.substr(0, slash);
  const std::string own_name = slash == std::string::npos ? "" : path.substr(slash + 1);
  if (!IsSha256Hex(sha256) || own_name.find('/') != std::string::npos) {
    return InvalidArgumentError(
        Quoted(uri, 256) +
        " must name an uploaded file by its 64 hex digits, and perhaps its name behind them");
  }
  GRAFT_ASSIGN_OR_RETURN(const Upload upload, FindUpload(objects_, tenant, sha256));
  const std::string& name = own_name.empty() ? upload.file_name : own_name;
  if (name.empty())
    return DataLossError("the upload " + sha256 + " has lost its name; upload it again");
  return SourceFile{name,
                    [this, key = objects::UploadDataKey(
                               tenant, sha256)]() -> StatusOr<std::unique_ptr<ByteSource>> {
                      return std::make_unique<ObjectSource>(objects_, key);
                    }};
}

StatusOr<SourceFile> DatasetSources::Resolve(const std::string& tenant, const std::string& uri,
                                             const std::string& field) const {
  const auto at = [&](StatusOr<SourceFile> result) -> StatusOr<SourceFile> {
    if (result.ok()) return result;
    return Status(result.status()).At(field);
  };
  if (uri.starts_with(kFile)) return at(ResolveFile(uri));
  if (uri.starts_with(kDataset)) return at(ResolveUpload(tenant, uri));
  if (uri.starts_with("s3://") || uri.starts_with("https://")) {
    return UnimplementedError(
               "s3:// and https:// data sets are not built yet; upload the file instead (graft "
               "upload)")
        .At(field);
  }
  return InvalidArgumentError(Quoted(uri, 256) +
                              " is no data set; use file:///path or graft://datasets/<sha256>")
      .At(field);
}

StatusOr<datasets::IngestSpec> DatasetSources::Resolve(const std::string& tenant,
                                                       const spec::DatasetSpec& dataset,
                                                       tasks::Kind kind) const {
  datasets::IngestSpec ingest;
  GRAFT_ASSIGN_OR_RETURN(ingest.train, Resolve(tenant, dataset.train, "dataset.train"));
  if (!dataset.validation.empty()) {
    GRAFT_ASSIGN_OR_RETURN(ingest.validation,
                           Resolve(tenant, dataset.validation, "dataset.validation"));
  }
  if (!dataset.test.empty()) {
    GRAFT_ASSIGN_OR_RETURN(ingest.test, Resolve(tenant, dataset.test, "dataset.test"));
  }
  ingest.validation_fraction = dataset.validation_fraction;
  ingest.test_fraction = dataset.test_fraction;
  if (kind == tasks::Kind::kCausalLanguageModeling) {
    ingest.language = {dataset.text_columns.empty() ? "" : dataset.text_columns.front(),
                       dataset.prompt_column, dataset.completion_column, dataset.messages_column,
                       dataset.tools_column};
  }
  ingest.text_columns = dataset.text_columns;
  ingest.label_column = dataset.label_column;
  ingest.format = dataset.format;
  ingest.has_header = dataset.has_header;
  ingest.max_examples = dataset.max_examples;
  return ingest;
}

}  // namespace graft::server::intake
