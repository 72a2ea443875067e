#include "common/safetensors/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
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

/// Reads {"dtype","shape","data_offsets"} of one tensor; offsets come back through begin and end.
Status ReadEntry(const Json& entry, TensorView* tensor, uint64_t* begin, uint64_t* end) {
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
  *begin = offsets[0].get<uint64_t>();
  *end = offsets[1].get<uint64_t>();
  const std::optional<uint64_t> bytes = ByteSize(tensor->dtype, tensor->shape);
  if (!bytes) return bad("its shape overflows");
  if (*end < *begin || *end - *begin != *bytes) return bad("data_offsets don't fit its shape");
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

StatusOr<View> View::Parse(std::string_view bytes, std::string_view what) {
  const std::string name(what);
  if (bytes.size() < 8) return DataLossError(name + ": too short for a safetensors file");
  const uint64_t header_size = ReadLittleEndian64(bytes.data());
  if (header_size > kMaxHeader && LooksLikePickle(bytes)) {
    return InvalidArgumentError(
        name +
        " is a pickle checkpoint (.bin, .pt); graft reads safetensors only, because a pickle "
        "can run code. Save it again with safe_serialization=True");
  }
  if (header_size > kMaxHeader)
    return InvalidArgumentError(name + ": a header of over 100,000,000 bytes; no safetensors file");
  if (header_size > bytes.size() - 8)
    return DataLossError(name + ": the file ends inside its header; it was cut; copy it again");
  const std::string_view header = bytes.substr(8, header_size);
  const std::string_view data = bytes.substr(8 + header_size);
  GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(header, name + " (header)",
                                                    {.max_bytes = kMaxHeader, .max_depth = 8}));
  if (!json.is_object()) return InvalidArgumentError(name + ": the header isn't a JSON object");
  if (json.size() > kMaxTensors)
    return InvalidArgumentError(name + ": more than 1,000,000 tensors");

  View view;
  struct Placed {
    uint64_t begin, end;
    TensorView tensor;
  };
  std::vector<Placed> placed;
  for (const auto& [key, entry] : json.items()) {
    if (key == "__metadata__") {
      if (!entry.is_object()) return InvalidArgumentError(name + ": __metadata__ isn't an object");
      for (const auto& [k, v] : entry.items()) {
        if (!v.is_string())
          return InvalidArgumentError(name + ": a value of __metadata__ isn't a string");
        view.metadata_[k] = v.get<std::string>();
      }
      continue;
    }
    if (key.empty() || key.size() > kMaxName)
      return InvalidArgumentError(name + ": a tensor's name is empty or over 4,096 bytes");
    Placed item{0, 0, {}};
    item.tensor.name = key;
    if (Status status = ReadEntry(entry, &item.tensor, &item.begin, &item.end); !status.ok())
      return Named(what, status);
    placed.push_back(std::move(item));
  }
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  // Each tensor begins where the one before ended: this alone rules out overlaps and holes.
  uint64_t next = 0;
  for (Placed& item : placed) {
    if (item.begin != next)
      return InvalidArgumentError(name + ": the tensor " + Printable(item.tensor.name, 200) +
                                  " overlaps another or leaves a hole");
    next = item.end;
  }
  if (next > data.size())
    return DataLossError(name +
                         ": the file ends before its last tensor; it was cut; copy it again");
  if (next < data.size()) return DataLossError(name + ": bytes follow the last tensor");
  for (Placed& item : placed) {
    item.tensor.data = data.substr(item.begin, item.end - item.begin);
    view.tensors_.push_back(std::move(item.tensor));
  }
  return view;
}

const TensorView* View::Find(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const TensorView& t) { return t.name == name; });
  return found != tensors_.end() ? &*found : nullptr;
}

StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoToStatus(errno, "open " + path.string());
  struct stat info {};
  const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->size_ = static_cast<size_t>(info.st_size);
  if (is_file && file->size_ > 0)
    file->address_ = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  if (!is_file) return InvalidArgumentError(path.string() + " is not a regular file");
  if (file->address_ == MAP_FAILED) {
    file->address_ = nullptr;
    return ErrnoToStatus(error, "map " + path.string());
  }
  const std::string_view bytes(static_cast<const char*>(file->address_),
                               file->address_ != nullptr ? file->size_ : 0);
  GRAFT_ASSIGN_OR_RETURN(file->view_, View::Parse(bytes, path.string()));
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, size_);
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
