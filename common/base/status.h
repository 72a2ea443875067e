#pragma once
/// The one error type of the whole tree: a code and a sentence that tells the user what to do.
/// Codes and names are absl's (and so gRPC's), but the type is ours, because the engine and
/// everything under common/ also builds on machines that have neither.
/// Thread safety: a Status is a value.

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace graft {

/// Same numbers as absl::StatusCode and grpc::StatusCode.
enum class StatusCode : int {
  kOk = 0,
  kCancelled = 1,           ///< The caller went away.
  kUnknown = 2,             ///< Only at the edges, for foreign errors.
  kInvalidArgument = 3,     ///< A field is missing or out of range; retrying can't help.
  kDeadlineExceeded = 4,    ///< The caller's deadline passed.
  kNotFound = 5,            ///< No such job, adapter, base, dataset, file.
  kAlreadyExists = 6,       ///< The same request_id with another request.
  kPermissionDenied = 7,    ///< Not allowed: a path outside the roots, another tenant's thing.
  kResourceExhausted = 8,   ///< Queue, quota, disk or memory full; retry after a delay.
  kFailedPrecondition = 9,  ///< The thing isn't in a state that allows this.
  kAborted = 10,        ///< Lost a race: a stale etag or an old fencing token. Re-read, then retry.
  kOutOfRange = 11,     ///< A page or range past the end.
  kUnimplemented = 12,  ///< Not built.
  kInternal = 13,       ///< A bug.
  kUnavailable = 14,    ///< No worker, draining, store away; retry with backoff.
  kDataLoss = 15,       ///< A checksum differs; a file is torn.
  kUnauthenticated = 16,  ///< No or unknown credentials.
};

/// Returns "INVALID_ARGUMENT" and so on.
std::string_view StatusCodeName(StatusCode code);

/// Where a fault lies and why, for programs; travels as graft.v1.ErrorDetail.
struct ErrorDetail {
  std::string reason;   ///< UPPER_SNAKE, stable, e.g. "LABEL_MISSING".
  std::string field;    ///< Field path in the request, e.g. "dataset.text_columns".
  int64_t line = 0;     ///< 1-based line of a dataset, 0 if none.
  std::string column;   ///< Column of a dataset, empty if none.
  std::string message;  ///< What is wrong with it.

  friend bool operator==(const ErrorDetail&, const ErrorDetail&) = default;
};

/// One word: null if OK, so that success costs nothing and callers compile to little.
class [[nodiscard]] Status {
 public:
  Status() = default;
  /// Without a message if `code` is kOk.
  Status(StatusCode code, std::string message);
  Status(const Status& other) : fault_(other.ok() ? nullptr : other.Copy()) {}
  Status& operator=(const Status& other) {
    fault_.reset(other.ok() ? nullptr : other.Copy());
    return *this;
  }
  Status(Status&&) = default;  ///< Leaves OK behind.
  Status& operator=(Status&&) = default;
  ~Status() = default;

  bool ok() const { return fault_ == nullptr; }
  StatusCode code() const { return ok() ? StatusCode::kOk : CodeOfFault(); }
  const std::string& message() const;

  /// Structured details, at most a few dozen; the first is the most important.
  const std::vector<ErrorDetail>& details() const;
  /// OK takes none.
  Status& AddDetail(ErrorDetail detail) &;
  Status&& AddDetail(ErrorDetail detail) &&;
  /// Shorthand for a fault in one request field.
  Status&& At(std::string field, std::string reason = "INVALID_FIELD") &&;

  /// "NOT_FOUND: no base named x"; "OK".
  std::string ToString() const;

  friend bool operator==(const Status& a, const Status& b);

 private:
  struct Fault;
  struct Delete {
    void operator()(Fault* fault) const;
  };
  Fault* Copy() const;
  StatusCode CodeOfFault() const;

  std::unique_ptr<Fault, Delete> fault_;
};

std::ostream& operator<<(std::ostream& out, const Status& status);

inline Status OkStatus() { return {}; }
Status CancelledError(std::string message);
Status InvalidArgumentError(std::string message);
Status DeadlineExceededError(std::string message);
Status NotFoundError(std::string message);
Status AlreadyExistsError(std::string message);
Status PermissionDeniedError(std::string message);
Status ResourceExhaustedError(std::string message);
Status FailedPreconditionError(std::string message);
Status AbortedError(std::string message);
Status OutOfRangeError(std::string message);
Status UnimplementedError(std::string message);
Status InternalError(std::string message);
Status UnavailableError(std::string message);
Status DataLossError(std::string message);
Status UnauthenticatedError(std::string message);

/// A value or the Status that says why there is none.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  using value_type = T;
  /// An OK status without a value is a bug, and becomes Internal.
  StatusOr(Status status)  // NOLINT: implicit on purpose
      : status_(status.ok() ? InternalError("a StatusOr was made of OK without a value")
                            : std::move(status)) {}
  template <typename U = T, typename = std::enable_if_t<std::is_constructible_v<T, U&&> &&
                                                        !std::is_same_v<std::decay_t<U>, Status> &&
                                                        !std::is_same_v<std::decay_t<U>, StatusOr>>>
  StatusOr(U&& value) : value_(std::in_place, std::forward<U>(value)) {}  // NOLINT

  bool ok() const { return value_.has_value(); }
  Status status() const& { return status_; }
  Status status() && { return std::move(status_); }

  /// Requires: ok().
  T& value() & { return value_.value(); }
  const T& value() const& { return value_.value(); }
  T&& value() && { return std::move(value_).value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

#define GRAFT_CONCAT_INNER_(a, b) a##b
#define GRAFT_CONCAT_(a, b) GRAFT_CONCAT_INNER_(a, b)

/// Returns the Status of `expr` from the enclosing function unless it is OK.
#define GRAFT_RETURN_IF_ERROR(expr)                                                        \
  do {                                                                                     \
    if (::graft::Status graft_status_ = (expr); !graft_status_.ok()) return graft_status_; \
  } while (false)

/// `GRAFT_ASSIGN_OR_RETURN(auto x, F());`
#define GRAFT_ASSIGN_OR_RETURN(lhs, expr) \
  GRAFT_ASSIGN_OR_RETURN_IMPL_(GRAFT_CONCAT_(graft_statusor_, __LINE__), lhs, expr)
#define GRAFT_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp.ok()) return std::move(tmp).status();     \
  lhs = std::move(tmp).value()

/// The same two for coroutines (asio::awaitable).
#define GRAFT_CO_RETURN_IF_ERROR(expr)                                                        \
  do {                                                                                        \
    if (::graft::Status graft_status_ = (expr); !graft_status_.ok()) co_return graft_status_; \
  } while (false)
#define GRAFT_CO_ASSIGN_OR_RETURN(lhs, expr) \
  GRAFT_CO_ASSIGN_OR_RETURN_IMPL_(GRAFT_CONCAT_(graft_statusor_, __LINE__), lhs, expr)
#define GRAFT_CO_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                    \
  if (!tmp.ok()) co_return std::move(tmp).status();     \
  lhs = std::move(tmp).value()

}  // namespace graft
