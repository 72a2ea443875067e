#pragma once
/// What one rendering uses up, and what it must not leave behind.
/// Thread safety: confined to the thread that renders.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/templates/limits.h"

namespace graft::templates {

struct Namespace;

/// InvalidArgument of the field "chat_template": the template can't do what it tries to.
Status Failure(const std::string& what);
/// Failure whose detail says that a limit was met.
Status LimitFailure(const std::string& what);

/// Must outlive every value that is made with it.
class Session {
 public:
  Session(const Limits& limits, std::optional<std::chrono::sys_seconds> now)
      : limits_(limits), now_(now) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Empties all namespaces: one may hold itself.
  ~Session();

  const Limits& limits() const { return limits_; }
  const std::optional<std::chrono::sys_seconds>& now() const { return now_; }

  /// Pays for work that is about to be done. Errors: LimitFailure.
  Status Spend(uint64_t steps);
  uint64_t spent() const { return spent_; }
  /// Pays for reading or writing this much text in one go.
  Status SpendOnBytes(size_t bytes) { return Spend(1 + bytes / 32); }
  /// Pays for going through it character by character.
  Status SpendOnCharacters(size_t bytes) { return Spend(1 + bytes / 3); }
  /// Counts memory that is about to be taken. Errors: LimitFailure; nothing was counted.
  Status Claim(size_t bytes);
  void Release(size_t bytes) { claimed_ -= bytes; }
  /// Errors: LimitFailure if a list or dict may not be that deep.
  Status CheckDepth(int depth) const;

  /// Keeps a namespace until the end, which then can't hold itself alive.
  void Keep(std::shared_ptr<Namespace> made) { namespaces_.push_back(std::move(made)); }

 private:
  const Limits limits_;
  const std::optional<std::chrono::sys_seconds> now_;
  uint64_t spent_ = 0;
  size_t claimed_ = 0;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

/// Memory that a value holds; given back when the value goes away.
class Claimed {
 public:
  Claimed() = default;
  /// Takes over what was counted with Claim. Null session: nothing was.
  Claimed(Session* session, size_t bytes) : session_(session), bytes_(bytes) {}
  Claimed(Claimed&& other) noexcept { *this = std::move(other); }
  Claimed& operator=(Claimed&& other) noexcept {
    std::swap(session_, other.session_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Claimed() {
    if (session_ != nullptr) session_->Release(bytes_);
  }
  /// Counts more for the same value. Errors: LimitFailure.
  Status Add(Session& session, size_t bytes) {
    GRAFT_RETURN_IF_ERROR(session.Claim(bytes));
    session_ = &session;
    bytes_ += bytes;
    return OkStatus();
  }

 private:
  Session* session_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace graft::templates
