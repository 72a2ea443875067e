#include "server/core/filter.h"

#include <algorithm>

#include "common/base/sha256.h"

namespace graft::server::core {
namespace {

constexpr JobState kStates[] = {JobState::kValidating, JobState::kQueued,  JobState::kRunning,  JobState::kPaused,
                                JobState::kSucceeded,  JobState::kFailed, JobState::kCancelled};

/// Takes the next space-separated term off `filter`; empty at the end.
std::string_view NextTerm(std::string_view& filter) {
  while (!filter.empty() && filter.front() == ' ') filter.remove_prefix(1);
  const std::string_view term = filter.substr(0, filter.find(' '));
  filter.remove_prefix(term.size());
  return term;
}

Status BadTerm(std::string_view term, const std::string& known) {
  return InvalidArgumentError("filter: \"" + std::string(term.substr(0, 80)) + "\" isn't a term; there are " + known).At("filter");
}

std::string Seal(std::string_view last, std::string_view filter) {
  return Sha256Hex(std::string(last) + "\n" + std::string(filter)).substr(0, 8);
}

}  // namespace

StatusOr<JobQuery> ParseJobFilter(std::string_view filter) {
  const std::string known = "state=, adapter=, base= and label.KEY=";
  JobQuery query;
  for (std::string_view term = NextTerm(filter); !term.empty(); term = NextTerm(filter)) {
    const size_t equals = term.find('=');
    if (equals == std::string_view::npos) return BadTerm(term, known);
    const std::string_view name = term.substr(0, equals);
    const std::string value(term.substr(equals + 1));
    if (name == "state") {
      const auto* state = std::find_if(std::begin(kStates), std::end(kStates), [&](JobState s) { return JobStateName(s) == value; });
      if (state == std::end(kStates)) {
        return BadTerm(term, "the states VALIDATING, QUEUED, RUNNING, PAUSED, SUCCEEDED, FAILED and CANCELLED");
      }
      query.states.push_back(*state);
    } else if (name == "adapter") {
      query.adapter = value;
    } else if (name == "base") {
      query.base = value;
    } else if (name.starts_with("label.") && name.size() > 6) {
      query.labels[std::string(name.substr(6))] = value;
    } else {
      return BadTerm(term, known);
    }
  }
  return query;
}

StatusOr<std::string> ParseBaseFilter(std::string_view filter) {
  const std::string_view term = NextTerm(filter);
  if (term.empty()) return std::string();
  if (!term.starts_with("base=") || !NextTerm(filter).empty()) return BadTerm(term, "base=");
  return std::string(term.substr(5));
}

std::string MakePageToken(std::string_view last, std::string_view filter) { return std::string(last) + "." + Seal(last, filter); }

StatusOr<std::string> ParsePageToken(std::string_view token, std::string_view filter) {
  if (token.empty()) return std::string();
  const size_t dot = token.rfind('.');
  if (dot != std::string_view::npos && token.substr(dot + 1) == Seal(token.substr(0, dot), filter)) {
    return std::string(token.substr(0, dot));
  }
  return InvalidArgumentError("page_token isn't from a list with this filter; start again without one").At("page_token", "BAD_PAGE_TOKEN");
}

}  // namespace graft::server::core
