#include "common/datasets/dataset.h"

#include "common/base/json.h"

namespace graft::datasets {
namespace {

constexpr const char* kFormat = "graft.dataset.v1";

Status Torn(const std::string& what) { return DataLossError("the stored dataset is damaged: " + what); }

/// Takes the next line off `bytes`. False at the end or without a final newline.
bool NextLine(std::string_view& bytes, std::string_view* line) {
  const size_t end = bytes.find('\n');
  if (end == std::string_view::npos) return false;
  *line = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return true;
}

}  // namespace

std::string Serialize(const IngestedDataset& dataset) {
  const Json header = {{"format", kFormat},
                       {"labels", dataset.label_names},
                       {"pair", dataset.has_pair},
                       {"splits",
                        {{"train", dataset.train.size()},
                         {"validation", dataset.validation.size()},
                         {"test", dataset.test.size()}}}};
  std::string bytes = header.dump() + "\n";
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split) {
      bytes += "[" + std::to_string(example.label) + "," + Json(example.text).dump();
      if (dataset.has_pair) bytes += "," + Json(example.text_pair).dump();
      bytes += "]\n";
    }
  }
  return bytes;
}

StatusOr<IngestedDataset> Parse(std::string_view bytes) {
  std::string_view line;
  if (!NextLine(bytes, &line)) return Torn("no header");
  const auto header = ParseJson(line, "header");
  if (!header.ok() || !header->is_object() || header->value("format", Json()) != kFormat ||
      !header->contains("labels") || !(*header)["labels"].is_array() || !header->contains("pair") ||
      !(*header)["pair"].is_boolean() || !header->contains("splits") || !(*header)["splits"].is_object()) {
    return Torn("its header isn't " + std::string(kFormat));
  }
  IngestedDataset dataset;
  for (const Json& label : (*header)["labels"]) {
    if (!label.is_string()) return Torn("a label isn't a string");
    dataset.label_names.push_back(label.get<std::string>());
  }
  dataset.has_pair = (*header)["pair"].get<bool>();
  const size_t width = dataset.has_pair ? 3 : 2;
  const std::pair<const char*, std::vector<Example>*> splits[] = {
      {"train", &dataset.train}, {"validation", &dataset.validation}, {"test", &dataset.test}};
  for (const auto& [name, split] : splits) {
    const Json count = (*header)["splits"].value(name, Json());
    if (!count.is_number_unsigned()) return Torn(std::string("no count for ") + name);
    for (uint64_t i = 0; i < count.get<uint64_t>(); ++i) {
      if (!NextLine(bytes, &line)) return Torn("it ends early");
      const Json row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!row.is_array() || row.size() != width || !row[0].is_number_integer() || !row[1].is_string() ||
          (dataset.has_pair && !row[2].is_string())) {
        return Torn("a line isn't an example");
      }
      const auto label = row[0].get<int64_t>();
      if (label < -1 || label >= static_cast<int64_t>(dataset.label_names.size())) return Torn("a label is out of range");
      split->push_back({row[1].get<std::string>(), dataset.has_pair ? row[2].get<std::string>() : std::string(),
                        static_cast<int32_t>(label)});
    }
  }
  if (!bytes.empty()) return Torn("it goes on behind its last example");
  return dataset;
}

}  // namespace graft::datasets
