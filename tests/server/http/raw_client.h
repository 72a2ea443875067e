#pragma once
/// Bytes to a port of this machine and back, as they are: for what no HTTP library would send.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace graft::server::http {

/// Thread safety: confined to one thread.
class RawClient {
 public:
  explicit RawClient(int port);
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient();

  /// False if the other side doesn't take it all.
  bool Send(std::string_view bytes);
  /// No more is sent; answers are still read.
  void CloseWriting();
  /// Breaks it off with a reset.
  void Reset();

  struct Response {
    int status = 0;  ///< 0: the connection ended without an answer, or nothing came in time.
    std::string head;
    std::string body;
    bool is_whole = false;
  };
  /// The next answer, with its body. `without_body`: of a HEAD.
  Response Read(bool without_body = false);
  /// Whatever comes next; empty once the other side has closed, nullopt if nothing came in time.
  std::optional<std::string> ReadSome();
  /// Whether the other side has closed, or does now.
  bool IsClosed();
  /// Whether it broke the connection off.
  bool was_reset() const { return was_reset_; }

 private:
  bool ReadUntil(std::string_view end);
  bool ReadBytes(size_t bytes);
  std::string TakeThrough(std::string_view end);

  int socket_ = -1;
  std::string buffer_;
  bool was_reset_ = false;
};

}  // namespace graft::server::http
