#pragma once
/// The connections that there are, and how they are ended.

#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace graft::server::http {

/// A connection as those see it who end it. Thread safety: thread-safe.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  virtual void Start() = 0;
  /// No request is read any more; one that is there is answered.
  virtual void Drain() = 0;
  /// Breaks it off; its call is cancelled.
  virtual void Close() = 0;
};

/// All connections, and which have waited longest for a request. Thread safety: thread-safe.
class ConnectionSet {
 public:
  explicit ConnectionSet(size_t most) : most_(most) {}

  /// Makes room if need be; false if there is none, for all of them work.
  bool Add(std::shared_ptr<Connection> connection);
  void Remove(const Connection* connection);
  /// It waits for a request from now on, or has a whole one.
  void Waits(const Connection* connection);
  void Works(const Connection* connection);

  void DrainAll();
  void CloseAll();
  /// Waits until there is none; false if time ran out.
  bool WaitUntilEmpty(std::chrono::milliseconds timeout);

 private:
  using Place = std::list<std::shared_ptr<Connection>>::iterator;
  struct Entry {
    Place place;
    bool is_waiting = true;
  };
  std::vector<std::shared_ptr<Connection>> All();

  const size_t most_;
  std::mutex mutex_;
  std::condition_variable emptied_;
  std::list<std::shared_ptr<Connection>> waiting_;  ///< The one that waits longest first.
  std::list<std::shared_ptr<Connection>> working_;
  std::unordered_map<const Connection*, Entry> entries_;
};

}  // namespace graft::server::http
