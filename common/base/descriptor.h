#pragma once
/// An open file's number, closed at the end.

#include <unistd.h>

namespace graft {

class Descriptor {
 public:
  /// `fd`: what open returned, -1 too.
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace graft
