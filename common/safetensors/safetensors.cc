#include "common/safetensors/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::safetensors {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxTensors = 1'000'000;
constexpr size_t kMaxRank = 16;
constexpr size_t kMaxName = 4096;

struct TypeInfo {
  std::string_view name;
  int64_t bits;
};
constexpr std::array<TypeInfo, 22> kTypes = {
    {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
     {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
     {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
     {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
     {"I64", 64},        {"U64", 64}}};

/// Bytes of a tensor, or nothing if the product overflows or isn't whole bytes.
std::optional<uint64_t> ByteSize(DType dtype, const std::vector<int64_t>& shape) {
  uint64_t elements = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(elements, static_cast<uint64_t>(size), &elements))
      return {};
  }
  uint64_t bits = 0;
  if (__builtin_mul_overflow(elements, static_cast<uint64_t>(DTypeBits(dtype)), &bits) ||
      bits % 8 != 0)
    return {};
  return bits / 8;
}

uint64_t ReadLittleEndian64(const char* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

/// A zip, or the start of a pickle of protocol 2 to 5. The header sizes 640, 896, 1152 and 1408
/// begin so too.
bool LooksLikePickle(std::string_view bytes) {
  return bytes.starts_with("PK\x03\x04") || (bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5);
}

/// Reads {"dtype","shape","data_offsets"} of one tensor; offsets count from the data's front.
Status ReadEntry(const Json& entry, TensorInfo* tensor) {
  const auto bad = [&](const char* what) {
    return InvalidArgumentError("the tensor " + Printable(tensor->name, 200) + ": " + what);
  };
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets")) {
    return bad("its entry needs dtype, shape and data_offsets, and nothing else");
  }
  if (!entry["dtype"].is_string()) return bad("dtype isn't a string");
  GRAFT_ASSIGN_OR_RETURN(tensor->dtype, ParseDType(entry["dtype"].get<std::string>()));
  const Json& shape = entry["shape"];
  if (!shape.is_array() || shape.size() > kMaxRank)
    return bad("shape isn't a list of at most 16 sizes");
  for (const Json& size : shape) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
      return bad("a size of its shape is out of range");
    }
    tensor->shape.push_back(size.get<int64_t>());
  }
  const Json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    return bad("data_offsets aren't two numbers");
  }
  tensor->begin = offsets[0].get<uint64_t>();
  tensor->end = offsets[1].get<uint64_t>();
  const std::optional<uint64_t> bytes = ByteSize(tensor->dtype, tensor->shape);
  if (!bytes) return bad("its shape overflows");
  if (tensor->end < tensor->begin || tensor->size() != *bytes)
    return bad("data_offsets don't fit its shape");
  return OkStatus();
}

Status Named(std::string_view what, const Status& status) {
  return {status.code(), std::string(what) + ": " + status.message()};
}

}  // namespace

std::string_view DTypeName(DType dtype) { return kTypes[static_cast<size_t>(dtype)].name; }
int64_t DTypeBits(DType dtype) { return kTypes[static_cast<size_t>(dtype)].bits; }

StatusOr<DType> ParseDType(std::string_view name) {
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<DType>(i);
  }
  return InvalidArgumentError("unknown tensor type " + Quoted(name, 40));
}

namespace {

struct Header {
  std::vector<TensorInfo> tensors;  ///< In offset order; offsets count from the data's front.
  std::map<std::string, std::string> metadata;
};

constexpr size_t kFront = 64;  ///< Bytes that tell what a file is.

/// The size of the JSON behind the file's first 8 bytes. `front` is its first kFront, or all.
StatusOr<uint64_t> HeaderSize(std::string_view front, uint64_t file_size, const std::string& name) {
  if (front.size() < 8) return DataLossError(name + ": too short for a safetensors file");
  const uint64_t size = ReadLittleEndian64(front.data());
  if (size > kMaxHeader) {
    if (const std::string_view stand_in = StandIn(front); !stand_in.empty())
      return InvalidArgumentError(name + " " + std::string(stand_in));
    if (LooksLikePickle(front)) {
      return InvalidArgumentError(
          name +
          " is a pickle checkpoint (.bin, .pt); graft reads safetensors only, because a pickle "
          "can run code. Save it again with safe_serialization=True");
    }
    return InvalidArgumentError(name + ": a header of over 100,000,000 bytes; no safetensors file");
  }
  if (size > file_size - 8)
    return DataLossError(name + ": the file ends inside its header; it was cut; copy it again");
  return size;
}

/// Each tensor begins where the one before ended: this alone rules out overlaps and holes.
Status CheckPlaces(const std::vector<TensorInfo>& tensors, uint64_t data_size,
                   const std::string& name) {
  uint64_t next = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.begin != next)
      return InvalidArgumentError(name + ": the tensor " + Printable(tensor.name, 200) +
                                  " overlaps another or leaves a hole");
    next = tensor.end;
  }
  if (next > data_size)
    return DataLossError(name +
                         ": the file ends before its last tensor; it was cut; copy it again");
  if (next < data_size) return DataLossError(name + ": bytes follow the last tensor");
  return OkStatus();
}

StatusOr<Header> ParseHeader(std::string_view text, uint64_t data_size, const std::string& name) {
  GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(text, name + " (header)",
                                                    {.max_bytes = kMaxHeader, .max_depth = 8}));
  if (!json.is_object()) return InvalidArgumentError(name + ": the header isn't a JSON object");
  if (json.size() > kMaxTensors)
    return InvalidArgumentError(name + ": more than 1,000,000 tensors");
  Header header;
  for (const auto& [key, entry] : json.items()) {
    if (key == "__metadata__") {
      if (!entry.is_object()) return InvalidArgumentError(name + ": __metadata__ isn't an object");
      for (const auto& [k, v] : entry.items()) {
        if (!v.is_string())
          return InvalidArgumentError(name + ": a value of __metadata__ isn't a string");
        header.metadata[k] = v.get<std::string>();
      }
      continue;
    }
    if (key.empty() || key.size() > kMaxName)
      return InvalidArgumentError(name + ": a tensor's name is empty or over 4,096 bytes");
    TensorInfo tensor;
    tensor.name = key;
    if (Status status = ReadEntry(entry, &tensor); !status.ok()) return Named(name, status);
    header.tensors.push_back(std::move(tensor));
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) {
              return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
            });
  GRAFT_RETURN_IF_ERROR(CheckPlaces(header.tensors, data_size, name));
  return header;
}

}  // namespace

StatusOr<View> View::Parse(std::string_view bytes, std::string_view what) {
  const std::string name(what);
  GRAFT_ASSIGN_OR_RETURN(const uint64_t size,
                         HeaderSize(bytes.substr(0, kFront), bytes.size(), name));
  const std::string_view data = bytes.substr(8 + size);
  GRAFT_ASSIGN_OR_RETURN(Header header, ParseHeader(bytes.substr(8, size), data.size(), name));
  View view;
  view.metadata_ = std::move(header.metadata);
  for (TensorInfo& tensor : header.tensors) {
    view.tensors_.push_back({std::move(tensor.name), tensor.dtype, std::move(tensor.shape),
                             data.substr(tensor.begin, tensor.size())});
  }
  return view;
}

const TensorView* View::Find(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const TensorView& t) { return t.name == name; });
  return found != tensors_.end() ? &*found : nullptr;
}

namespace {

constexpr size_t kPiece = size_t{1} << 20;

std::string StampOf(const struct stat& info) {
  std::string stamp;
  for (const int64_t part : {int64_t{info.st_size}, int64_t{info.st_mtim.tv_sec},
                             int64_t{info.st_mtim.tv_nsec}, int64_t{info.st_ctim.tv_sec},
                             int64_t{info.st_ctim.tv_nsec}, static_cast<int64_t>(info.st_ino)}) {
    stamp += std::to_string(part) + " ";
  }
  return stamp;
}

}  // namespace

StatusOr<std::shared_ptr<const File>> File::Open(const std::filesystem::path& path) {
  std::shared_ptr<File> file(new File());
  file->path_ = path;
  file->fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->fd_ < 0) return ErrnoToStatus(errno, "open " + path.string());
  struct stat info {};
  if (::fstat(file->fd_, &info) != 0) return ErrnoToStatus(errno, "stat " + path.string());
  if (!S_ISREG(info.st_mode)) return InvalidArgumentError(path.string() + " is not a regular file");
  file->stamp_ = StampOf(info);
  const auto size = static_cast<uint64_t>(info.st_size);
  std::string front(std::min<uint64_t>(size, kFront), '\0');
  GRAFT_RETURN_IF_ERROR(file->ReadAt(0, front.data(), front.size()));
  GRAFT_ASSIGN_OR_RETURN(const uint64_t header_size, HeaderSize(front, size, path.string()));
  std::string text(header_size, '\0');
  GRAFT_RETURN_IF_ERROR(file->ReadAt(8, text.data(), text.size()));
  GRAFT_ASSIGN_OR_RETURN(Header header, ParseHeader(text, size - 8 - header_size, path.string()));
  file->tensors_ = std::move(header.tensors);
  for (TensorInfo& tensor : file->tensors_) {
    tensor.begin += 8 + header_size;
    tensor.end += 8 + header_size;
  }
  return std::shared_ptr<const File>(std::move(file));
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

Status File::ReadAt(uint64_t offset, char* to, size_t size) const {
  while (size > 0) {
    const ssize_t got = ::pread(fd_, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoToStatus(errno, "read " + path_.string());
    if (got == 0)
      return DataLossError(path_.string() +
                           ": the file was cut while it was in use; copy it again");
    to += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return OkStatus();
}

StatusOr<std::string> File::Read(const TensorInfo& tensor) const {
  std::string bytes(tensor.size(), '\0');
  GRAFT_RETURN_IF_ERROR(ReadAt(tensor.begin, bytes.data(), bytes.size()));
  return bytes;
}

Status File::ReadPieces(const TensorInfo& tensor,
                        const std::function<void(std::string_view)>& take) const {
  std::string piece(std::min<uint64_t>(tensor.size(), kPiece), '\0');
  for (uint64_t at = tensor.begin; at < tensor.end; at += piece.size()) {
    piece.resize(std::min<uint64_t>(tensor.end - at, kPiece));
    GRAFT_RETURN_IF_ERROR(ReadAt(at, piece.data(), piece.size()));
    take(piece);
  }
  return OkStatus();
}

Status File::CheckUnchanged() const {
  struct stat opened {};
  struct stat named {};
  const bool same = ::fstat(fd_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 &&
                    StampOf(opened) == stamp_ && StampOf(named) == stamp_;
  if (same) return OkStatus();
  return UnavailableError(path_.string() + " was changed while it was read; try again");
}

StatusOr<std::string> Write(std::vector<TensorToWrite> tensors,
                            const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    return std::make_pair(-static_cast<int>(a.dtype), std::string_view(a.name)) <
           std::make_pair(-static_cast<int>(b.dtype), std::string_view(b.name));
  });
  std::map<std::string, std::string> all = metadata;
  all["format"] = "pt";
  for (const auto& [key, value] : all) {
    if (FirstInvalidUtf8(key + value) != std::string::npos)
      return InvalidArgumentError("the metadata isn't UTF-8");
  }
  OrderedJson header;
  header["__metadata__"] = all;
  uint64_t offset = 0;
  std::set<std::string> names;
  for (const TensorToWrite& tensor : tensors) {
    const std::optional<uint64_t> bytes = ByteSize(tensor.dtype, tensor.shape);
    if (tensor.name.empty() || tensor.name.size() > kMaxName || tensor.name == "__metadata__" ||
        FirstInvalidUtf8(tensor.name) != std::string::npos) {
      return InvalidArgumentError("no name for a tensor: " + Quoted(tensor.name, 200));
    }
    if (!names.insert(tensor.name).second) {
      return InvalidArgumentError("the tensor " + Printable(tensor.name, 200) + " stands twice");
    }
    if (tensor.shape.size() > kMaxRank || !bytes || *bytes != tensor.data.size()) {
      return InvalidArgumentError("the data of " + Printable(tensor.name, 200) +
                                  " doesn't fit its shape");
    }
    OrderedJson entry;
    entry["dtype"] = DTypeName(tensor.dtype);
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {offset, offset + *bytes};
    header[tensor.name] = std::move(entry);
    offset += *bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string file;
  file.reserve(8 + text.size() + offset);
  for (int i = 0; i < 8; ++i) file += static_cast<char>(text.size() >> (8 * i));
  file += text;
  for (const TensorToWrite& tensor : tensors) file += tensor.data;
  return file;
}

}  // namespace graft::safetensors
