#pragma once
/// What the tests of common/datasets share: sources that behave badly, gzip, and short ways to
/// read.

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/datasets/bytes.h"
#include "common/datasets/ingest.h"
#include "common/datasets/records.h"

namespace graft::datasets {

/// Gives at most `piece` bytes a call.
class PiecewiseSource : public ByteSource {
 public:
  PiecewiseSource(std::string bytes, size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}

  StatusOr<size_t> Read(char* buffer, size_t size) override {
    size = std::min({size, piece_, bytes_.size() - at_});
    std::copy_n(bytes_.data() + at_, size, buffer);
    at_ += size;
    return size;
  }

 private:
  const std::string bytes_;
  const size_t piece_;
  size_t at_ = 0;
};

/// Gives `bytes` and then `error`.
class FailingSource : public ByteSource {
 public:
  FailingSource(std::string bytes, Status error)
      : bytes_(std::move(bytes)), error_(std::move(error)) {}

  StatusOr<size_t> Read(char* buffer, size_t size) override {
    if (at_ == bytes_.size()) return error_;
    size = std::min(size, bytes_.size() - at_);
    std::copy_n(bytes_.data() + at_, size, buffer);
    at_ += size;
    return size;
  }

 private:
  const std::string bytes_;
  const Status error_;
  size_t at_ = 0;
};

inline std::string Gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// Reads a source to its end.
inline StatusOr<std::string> ReadAll(ByteSource& source, size_t piece = 4096) {
  std::string all;
  std::vector<char> buffer(piece);
  for (;;) {
    GRAFT_ASSIGN_OR_RETURN(const size_t size, source.Read(buffer.data(), buffer.size()));
    if (size == 0) return all;
    all.append(buffer.data(), size);
  }
}

/// What a reader gave, in a form that is easy to compare: records as "line: a|b" (absent values as
/// "<none>"), faults as "line: !REASON" with "@column" where there is one.
struct ReadOut {
  std::vector<std::string> steps;
  std::vector<ErrorDetail> faults;
  Status status;
  bool broke_off = false;
};

inline ReadOut ReadRecords(std::unique_ptr<ByteSource> source, RecordOptions options) {
  const auto reader = NewRecordReader(std::move(source), std::move(options));
  ReadOut out;
  Record record;
  ErrorDetail fault;
  for (;;) {
    const auto step = reader->Next(record, fault);
    out.broke_off = reader->broke_off();
    if (!step.ok()) {
      out.status = step.status();
      return out;
    }
    if (*step == ReadStep::kEnd) return out;
    if (*step == ReadStep::kFault) {
      out.faults.push_back(fault);
      out.steps.push_back(std::to_string(fault.line) + ": !" + fault.reason +
                          (fault.column.empty() ? "" : "@" + fault.column));
      continue;
    }
    std::string text = std::to_string(record.line) + ": ";
    for (size_t i = 0; i < record.values.size(); ++i) {
      const Value& value = record.values[i];
      text += (i == 0 ? "" : "|") + (value.is_present ? value.text : std::string("<none>"));
    }
    out.steps.push_back(std::move(text));
  }
}

inline ReadOut ReadRecords(const std::string& text, const RecordOptions& options,
                           size_t piece = 1 << 20) {
  return ReadRecords(std::make_unique<PiecewiseSource>(text, piece), options);
}

inline RecordOptions Wanting(Format format, const std::vector<std::string>& columns) {
  RecordOptions options;
  options.format = format;
  for (const std::string& name : columns) options.columns.push_back({name, true});
  return options;
}

/// A file in memory.
inline SourceFile FileOf(std::string name, std::string bytes) {
  return {std::move(name),
          [bytes]() -> StatusOr<std::unique_ptr<ByteSource>> { return FromMemory(bytes); }};
}

/// Columns "text" and "label" of one CSV.
inline IngestSpec CsvSpec(std::string train) {
  IngestSpec spec;
  spec.train = FileOf("train.csv", std::move(train));
  spec.text_columns = {"text"};
  spec.label_column = "label";
  return spec;
}

/// Changes a few bytes of `bytes`: replaces, drops, doubles or inserts, or cuts the end off. Bytes
/// put in are mostly those that mean something to a parser.
inline std::string Mutate(std::string bytes, PhiloxSequence& random) {
  constexpr std::string_view kTelling = "\"\"\"\n\r\t,,{}[]:\\\0\xFF\x1F\x8B\xEF\xBB\xBF 0u";
  const uint32_t num_changes = 1 + random.NextBelow(8);
  for (uint32_t i = 0; i < num_changes && !bytes.empty(); ++i) {
    const size_t at = random.NextBelow(static_cast<uint32_t>(bytes.size()));
    const char put = random.NextBelow(4) == 0
                         ? static_cast<char>(random.NextBelow(256))
                         : kTelling[random.NextBelow(static_cast<uint32_t>(kTelling.size()))];
    const size_t size = 1 + random.NextBelow(16);
    switch (random.NextBelow(6)) {
      case 0:
      case 1:
        bytes[at] = put;
        break;
      case 2:
        bytes.insert(at, 1, put);
        break;
      case 3:
        bytes.erase(at, size);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, size));
        break;
      default:
        if (random.NextBelow(4) == 0) bytes.resize(at);
    }
  }
  return bytes;
}

}  // namespace graft::datasets
