#include "common/base/failpoint.h"

#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <new>
#include <optional>

#include "common/base/utf8.h"

namespace graft {
namespace {

enum class Action { kCrash, kStop, kError, kThrow };

std::optional<Action> ActionOf(std::string_view name) {
  if (name == "crash") return Action::kCrash;
  if (name == "stop") return Action::kStop;
  if (name == "error") return Action::kError;
  if (name == "throw") return Action::kThrow;
  return {};
}

struct Arm {
  Action action = Action::kCrash;
  int countdown = 1;
};

std::mutex mutex;

std::map<std::string, Arm, std::less<>>& Arms() {
  static auto* arms = new std::map<std::string, Arm, std::less<>>();
  return *arms;
}

/// Counts this pass down; returns what to do when its turn has come.
std::optional<Action> Due(std::string_view name) {
  const std::lock_guard lock(mutex);
  const auto arm = Arms().find(name);
  if (arm == Arms().end() || --arm->second.countdown > 0) return {};
  const Action action = arm->second.action;
  Arms().erase(arm);
  return action;
}

}  // namespace

namespace internal {

std::atomic<bool> failpoints_armed{false};

void PassFailpoint(std::string_view name) { (void)PassFailpointStatus(name); }

Status PassFailpointStatus(std::string_view name) {
  const std::optional<Action> action = Due(name);
  if (!action) return OkStatus();
  // SIGKILL: no destructor, no flush, as when the machine's OOM killer comes.
  if (*action == Action::kCrash) ::kill(::getpid(), SIGKILL);
  if (*action == Action::kStop) {
    ::raise(SIGSTOP);  // To this thread: another would let this one run on for a while.
    return OkStatus();
  }
  if (*action == Action::kThrow) throw std::bad_alloc();
  return UnavailableError("failpoint " + std::string(name));
}

}  // namespace internal

const std::vector<std::string_view>& FailpointNames() {
  // One list in one place: the chaos test kills a process at every name, so a name must be
  // reachable by a job.
  static const std::vector<std::string_view> kNames = {
      "file.after_rename",
      "file.before_rename",
      "server.after_checkpoint_kept",
      "server.after_complete",
      "server.after_dataset_stored",
      "server.after_job_created",
      "server.after_lease_granted",
      "server.before_checkpoint_kept",
      "server.before_complete",
      "store.after_commit",
      "store.before_commit",
      "worker.after_artifact_stored",
      "worker.after_checkpoint_stored",
      "worker.after_kept_stored",
      "worker.after_lease_acquired",
      "worker.after_step",
      "worker.before_artifact_stored",
      "worker.before_checkpoint_stored",
      "worker.before_complete",
      "worker.before_kept_stored",
      "worker.before_tokenize",
  };
  return kNames;
}

Status ArmFailpoints(std::string_view specification) {
  std::map<std::string, Arm, std::less<>> arms;
  while (!specification.empty()) {
    const size_t comma = std::min(specification.find(','), specification.size());
    const std::string_view item = specification.substr(0, comma);
    specification.remove_prefix(std::min(comma + 1, specification.size()));
    const size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    const auto& names = FailpointNames();
    if (equals == std::string_view::npos || !std::binary_search(names.begin(), names.end(), name)) {
      return InvalidArgumentError("no failpoint like " + Quoted(item) +
                                  "; --list-failpoints prints them");
    }
    std::string_view action = item.substr(equals + 1);
    Arm arm;
    if (const size_t at = action.find('@'); at != std::string_view::npos) {
      const std::string_view count = action.substr(at + 1);
      const auto [end, error] =
          std::from_chars(count.data(), count.data() + count.size(), arm.countdown);
      if (error != std::errc() || end != count.data() + count.size() || arm.countdown < 1) {
        return InvalidArgumentError(Quoted(item) + ": the count after @ must be 1 or more");
      }
      action = action.substr(0, at);
    }
    const std::optional<Action> known = ActionOf(action);
    if (!known) {
      return InvalidArgumentError(Quoted(item) +
                                  ": the action must be crash, stop, error or throw");
    }
    arm.action = *known;
    if (!arms.emplace(name, arm).second) {
      return InvalidArgumentError("the failpoint " + std::string(name) + " stands twice");
    }
  }
  const std::lock_guard lock(mutex);
  internal::failpoints_armed = !arms.empty();
  Arms() = std::move(arms);
  return OkStatus();
}

}  // namespace graft
