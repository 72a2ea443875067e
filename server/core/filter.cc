#include "server/core/filter.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "common/base/ids.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"

namespace graft::server::core {
namespace {

constexpr JobState kStates[] = {JobState::kValidating, JobState::kQueued,    JobState::kRunning,
                                JobState::kPaused,     JobState::kSucceeded, JobState::kFailed,
                                JobState::kCancelled};

constexpr size_t kMaxFilterBytes = 2000;

/// Takes the next space-separated term off `filter`; empty at the end. A space in double quotes is
/// part of the term.
std::string_view NextTerm(std::string_view& filter) {
  while (!filter.empty() && filter.front() == ' ') filter.remove_prefix(1);
  size_t size = 0;
  for (bool quoted = false; size < filter.size() && (quoted || filter[size] != ' '); ++size) {
    if (filter[size] == '"') quoted = !quoted;
  }
  const std::string_view term = filter.substr(0, size);
  filter.remove_prefix(size);
  return term;
}

/// The value of a term without its quotes. Nothing if they aren't around all of it.
std::optional<std::string> ValueOf(std::string_view text) {
  if (text.find('"') == std::string_view::npos) return std::string(text);
  if (text.size() < 2 || text.front() != '"' || text.find('"', 1) != text.size() - 1) return {};
  return std::string(text.substr(1, text.size() - 2));
}

/// Sets a condition that can only hold once. False if it is set.
bool SetOnce(std::string& field, std::string value) {
  if (!field.empty() || value.empty()) return false;
  field = std::move(value);
  return true;
}

Status BadTerm(std::string_view term, const std::string& known) {
  return InvalidArgumentError("filter: " + Quoted(term, 80) + " isn't a term; there are " + known)
      .At("filter");
}

std::string Seal(std::string_view last, std::string_view filter) {
  return Sha256Hex(std::string(last) + "\n" + std::string(filter)).substr(0, 8);
}

}  // namespace

StatusOr<JobQuery> ParseJobFilter(std::string_view filter) {
  const std::string known =
      "state=, adapter=, base= and label.KEY=, each with a value (a state may come several times)";
  if (filter.size() > kMaxFilterBytes)
    return InvalidArgumentError("filter: more than 2000 bytes").At("filter");
  JobQuery query;
  for (std::string_view term = NextTerm(filter); !term.empty(); term = NextTerm(filter)) {
    const size_t equals = term.find('=');
    if (equals == std::string_view::npos) return BadTerm(term, known);
    const std::string_view name = term.substr(0, equals);
    const std::optional<std::string> value = ValueOf(term.substr(equals + 1));
    bool good = value.has_value();
    if (good && name == "state") {
      const auto* state = std::find_if(std::begin(kStates), std::end(kStates), [&](JobState s) {
        return AsciiLower(JobStateName(s)) == AsciiLower(*value);
      });
      if (state == std::end(kStates)) {
        return BadTerm(
            term,
            "the states VALIDATING, QUEUED, RUNNING, PAUSED, SUCCEEDED, FAILED and CANCELLED");
      }
      if (std::find(query.states.begin(), query.states.end(), *state) == query.states.end())
        query.states.push_back(*state);
    } else if (good && name == "adapter") {
      good = SetOnce(query.adapter, *value);
    } else if (good && name == "base") {
      good = SetOnce(query.base, *value);
    } else {
      good = good && name.starts_with("label.") && name.size() > 6 &&
             query.labels.emplace(name.substr(6), *value).second;
    }
    if (!good) return BadTerm(term, known);
  }
  return query;
}

StatusOr<std::string> ParseBaseFilter(std::string_view filter) {
  const std::string_view term = NextTerm(filter);
  if (term.empty()) return std::string();
  if (!term.starts_with("base=") || term.size() == 5 || !NextTerm(filter).empty())
    return BadTerm(term, "base=ID");
  return std::string(term.substr(5));
}

StatusOr<std::string> ParseVersionFilter(std::string_view filter) {
  const std::string_view term = NextTerm(filter);
  if (term.empty()) return std::string();
  std::string_view id = term;
  if (!id.starts_with("job=") || !NextTerm(filter).empty()) return BadTerm(term, "job=jobs/ID");
  id.remove_prefix(4);
  if (id.starts_with("jobs/")) id.remove_prefix(5);
  if (!IsValidName(id)) return BadTerm(term, "job=jobs/ID");
  return std::string(id);
}

std::string MakePageToken(std::string_view last, std::string_view filter) {
  return std::string(last) + "." + Seal(last, filter);
}

StatusOr<std::string> ParsePageToken(std::string_view token, std::string_view filter) {
  if (token.empty()) return std::string();
  const size_t dot = token.rfind('.');
  if (dot != std::string_view::npos &&
      token.substr(dot + 1) == Seal(token.substr(0, dot), filter)) {
    return std::string(token.substr(0, dot));
  }
  return InvalidArgumentError(
             "page_token isn't from a list with this filter; start again without one")
      .At("page_token", "BAD_PAGE_TOKEN");
}

}  // namespace graft::server::core
