#include <algorithm>
#include <array>

#include "common/templates/library/filters.h"

namespace graft::templates {

const Native* FindFilter(std::string_view name) {
  for (const auto filters :
       {TextFilters(), NumberFilters(), SequenceFilters(), SelectionFilters(), SortingFilters()}) {
    const auto found = std::find_if(filters.begin(), filters.end(),
                                    [&](const Native& filter) { return filter.name == name; });
    if (found != filters.end()) return &*found;
  }
  return nullptr;
}

bool IsMissingFilter(std::string_view name) {
  constexpr std::array<std::string_view, 17> kMissing = {
      "attr",      "center", "e",         "escape",   "filesizeformat", "forceescape",
      "groupby",   "pprint", "random",    "slice",    "striptags",      "truncate",
      "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr"};
  return std::find(kMissing.begin(), kMissing.end(), name) != kMissing.end();
}

}  // namespace graft::templates
