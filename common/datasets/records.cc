#include "common/datasets/records.h"

#include <algorithm>
#include <set>

#include "common/base/json.h"
#include "common/datasets/lines.h"

namespace graft::datasets {
namespace {

Status Fault(std::string reason, int64_t line, std::string column, std::string message) {
  Status status = InvalidArgumentError(line > 0 ? "line " + std::to_string(line) + ": " + message : message);
  return std::move(status).AddDetail({std::move(reason), {}, line, std::move(column), std::move(message)});
}

RecordFault MakeFault(std::string reason, int64_t line, std::string message, bool fatal = false) {
  return {{std::move(reason), {}, line, {}, std::move(message)}, fatal};
}

std::string JoinNames(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 30; ++i) text += (i > 0 ? ", " : "") + names[i].substr(0, 80);
  if (names.size() > 30) text += ", ...";
  return text;
}

/// CSV and TSV.
class TableReader : public RecordReader {
 public:
  TableReader(std::unique_ptr<ByteSource> source, ReaderOptions options)
      : options_(std::move(options)),
        separator_(options_.format == Format::kCsv ? ',' : '\t'),
        lines_(std::move(source), options_.max_record_bytes) {}

  Status ReadHeader() {
    std::optional<RecordFault> fault;
    int64_t line = 0;
    GRAFT_ASSIGN_OR_RETURN(const bool any, ReadFields(&fields_, &line, &fault));
    if (fault) return Fault(fault->detail.reason, fault->detail.line, {}, fault->detail.message);
    if (!any) return Fault("EMPTY_FILE", 0, {}, "the file is empty");
    std::vector<std::string> header = fields_;
    if (!options_.has_header) {
      for (size_t i = 0; i < header.size(); ++i) header[i] = std::to_string(i + 1);
      pending_ = true;
      pending_line_ = line;
    }
    std::set<std::string> seen;
    for (const std::string& name : header) {
      const bool wanted = std::find(options_.columns.begin(), options_.columns.end(), name) != options_.columns.end();
      if (!seen.insert(name).second && wanted) {
        return Fault("DUPLICATE_COLUMN", line, name, "the column \"" + name + "\" stands twice in the header");
      }
    }
    for (const std::string& column : options_.columns) {
      const auto found = std::find(header.begin(), header.end(), column);
      if (found == header.end()) {
        return Fault("COLUMN_MISSING", line, column, "there is no column \"" + column + "\"; there are " + JoinNames(header));
      }
      positions_.push_back(static_cast<size_t>(found - header.begin()));
    }
    width_ = header.size();
    return OkStatus();
  }

  StatusOr<std::optional<Record>> Next(std::optional<RecordFault>* fault) override {
    fault->reset();
    Record record;
    if (pending_) {
      pending_ = false;
      record.line = pending_line_;
    } else {
      do {  // Blank lines at the end of a file are common and mean nothing.
        GRAFT_ASSIGN_OR_RETURN(const bool any, ReadFields(&fields_, &record.line, fault));
        if (!any || *fault) return std::optional<Record>();
      } while (fields_.size() == 1 && fields_[0].empty() && width_ > 1);
    }
    if (fields_.size() != width_) {
      *fault = MakeFault("FIELD_COUNT", record.line,
                         std::to_string(fields_.size()) + " fields where the header has " + std::to_string(width_));
      return std::optional<Record>();
    }
    for (const size_t position : positions_) record.values.emplace_back(fields_[position]);
    return std::optional<Record>(std::move(record));
  }

 private:
  /// Splits one record, over several lines if quotes say so. False at the end.
  StatusOr<bool> ReadFields(std::vector<std::string>* fields, int64_t* first_line, std::optional<RecordFault>* fault) {
    fields->clear();
    bool truncated = false;
    GRAFT_ASSIGN_OR_RETURN(const bool any, lines_.Next(&line_, &truncated));
    if (!any) return false;
    *first_line = lines_.line_number();
    if (*first_line == 1 && line_.starts_with("\xEF\xBB\xBF")) line_.erase(0, 3);
    std::string field;
    size_t record_bytes = line_.size();
    size_t i = 0;
    for (;;) {
      field.clear();
      if (OpensQuote(i)) {
        ++i;
        for (;;) {
          const size_t quote = line_.find('"', i);
          if (quote == std::string::npos) {
            // The field goes on in the next line.
            field.append(line_, i);
            field += '\n';
            bool more_truncated = false;
            GRAFT_ASSIGN_OR_RETURN(const bool more, lines_.Next(&line_, &more_truncated));
            record_bytes += line_.size();
            if (!more || more_truncated || record_bytes > options_.max_record_bytes) {
              *fault = MakeFault("UNCLOSED_QUOTE", *first_line,
                                 more ? "a quoted field that begins here is longer than the limit of " +
                                            std::to_string(options_.max_record_bytes) + " bytes; is a quote missing?"
                                      : "a quoted field that begins here is never closed",
                                 true);
              return true;
            }
            i = 0;
            continue;
          }
          field.append(line_, i, quote - i);
          i = quote + 1;
          if (i < line_.size() && line_[i] == '"') {
            field += '"';
            ++i;
            continue;
          }
          break;
        }
        const bool at_end = i == line_.size() || (i + 1 == line_.size() && line_[i] == '\r');
        if (!at_end && line_[i] != separator_) {
          *fault = MakeFault("BAD_QUOTE", *first_line, "text follows the closing quote of a field; a quote inside a field is written twice");
          return true;
        }
        if (at_end) i = line_.size();
      } else {
        size_t end = line_.find(separator_, i);
        if (end == std::string::npos) end = line_.size();
        field.append(line_, i, end - i);
        if (end == line_.size() && !field.empty() && field.back() == '\r') field.pop_back();
        i = end;
      }
      fields->push_back(field);
      if (i >= line_.size()) break;
      ++i;  // The separator; a line that ends in one has an empty last field.
      if (i == line_.size()) {
        fields->emplace_back();
        break;
      }
    }
    if (truncated) {
      *fault = MakeFault("RECORD_TOO_LONG", *first_line,
                         "the line is longer than the limit of " + std::to_string(options_.max_record_bytes) + " bytes");
    } else if (!std::all_of(fields->begin(), fields->end(), [](const auto& f) { return IsValidUtf8(f); })) {
      *fault = MakeFault("BAD_UTF8", *first_line, "the line isn't valid UTF-8; convert the file, for example with iconv");
    }
    return true;
  }

  bool OpensQuote(size_t i) const {
    if (i >= line_.size() || line_[i] != '"') return false;
    if (options_.format == Format::kCsv) return true;
    // TSV: only a quote that is closed before a tab or at the line's end opens a field.
    for (size_t quote = line_.find('"', i + 1); quote != std::string::npos; quote = line_.find('"', quote + 1)) {
      const size_t next = quote + 1;
      if (next == line_.size() || line_[next] == '\t' || (line_[next] == '\r' && next + 1 == line_.size())) return true;
      if (line_[next] != '"') return false;
      ++quote;
    }
    return false;
  }

  const ReaderOptions options_;
  const char separator_;
  LineReader lines_;
  std::string line_;
  std::vector<std::string> fields_;
  std::vector<size_t> positions_;
  size_t width_ = 0;
  bool pending_ = false;
  int64_t pending_line_ = 0;
};

class JsonlReader : public RecordReader {
 public:
  JsonlReader(std::unique_ptr<ByteSource> source, ReaderOptions options)
      : options_(std::move(options)), lines_(std::move(source), options_.max_record_bytes) {}

  StatusOr<std::optional<Record>> Next(std::optional<RecordFault>* fault) override {
    fault->reset();
    const auto none = std::optional<Record>();
    for (;;) {
      bool truncated = false;
      GRAFT_ASSIGN_OR_RETURN(const bool any, lines_.Next(&line_, &truncated));
      if (!any) return none;
      const int64_t number = lines_.line_number();
      if (number == 1 && line_.starts_with("\xEF\xBB\xBF")) line_.erase(0, 3);
      if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
      if (truncated) {
        *fault = MakeFault("RECORD_TOO_LONG", number,
                           "the line is longer than the limit of " + std::to_string(options_.max_record_bytes) + " bytes");
        return none;
      }
      if (!IsValidUtf8(line_)) {
        *fault = MakeFault("BAD_UTF8", number, "the line isn't valid UTF-8");
        return none;
      }
      const auto json = ParseJson(line_, "the line");
      if (!json.ok() || !json->is_object()) {
        *fault = MakeFault("BAD_JSON", number, json.ok() ? "the line isn't a JSON object" : json.status().message());
        return none;
      }
      Record record{number, {}};
      for (const std::string& column : options_.columns) {
        const auto value = json->find(column);
        if (value == json->end() || value->is_null()) {
          record.values.emplace_back();
        } else if (value->is_string()) {
          record.values.emplace_back(value->get<std::string>());
        } else if (value->is_number() || value->is_boolean()) {
          record.values.emplace_back(value->dump());
        } else {
          *fault = {{"WRONG_TYPE", {}, number, column, "the value of \"" + column + "\" is a list or an object; a text is needed"}, false};
          return none;
        }
      }
      return std::optional<Record>(std::move(record));
    }
  }

 private:
  const ReaderOptions options_;
  LineReader lines_;
  std::string line_;
};

}  // namespace

StatusOr<Format> FormatOf(std::string_view name, std::string_view explicit_format) {
  if (explicit_format == "csv") return Format::kCsv;
  if (explicit_format == "tsv") return Format::kTsv;
  if (explicit_format == "jsonl") return Format::kJsonl;
  std::string lower(name.substr(name.rfind('/') + 1));
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower.ends_with(".gz")) lower.resize(lower.size() - 3);
  if (lower.ends_with(".csv")) return Format::kCsv;
  if (lower.ends_with(".tsv") || lower.ends_with(".tab")) return Format::kTsv;
  if (lower.ends_with(".jsonl") || lower.ends_with(".ndjson")) return Format::kJsonl;
  return InvalidArgumentError("the name \"" + std::string(name.substr(0, 200)) +
                              "\" doesn't tell its format; name it .csv, .tsv or .jsonl, or set dataset.format")
      .At("dataset.format", "FORMAT_UNKNOWN");
}

bool IsValidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      ++i;
      continue;
    }
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    if (byte < 0xC2 || byte > 0xF4 || i + length > text.size()) return false;
    uint32_t code = byte & (0x7FU >> length);
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0U) != 0x80) return false;
      code = code << 6 | (next & 0x3FU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

StatusOr<std::unique_ptr<RecordReader>> RecordReader::Open(std::unique_ptr<ByteSource> source, ReaderOptions options) {
  if (options.format == Format::kJsonl) {
    return std::unique_ptr<RecordReader>(std::make_unique<JsonlReader>(std::move(source), std::move(options)));
  }
  auto reader = std::make_unique<TableReader>(std::move(source), std::move(options));
  GRAFT_RETURN_IF_ERROR(reader->ReadHeader());
  return std::unique_ptr<RecordReader>(std::move(reader));
}

}  // namespace graft::datasets
