#include "server/supervisor/process_launcher.h"

#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <chrono>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/process/args.hpp>
#include <boost/process/async.hpp>
#include <boost/process/async_pipe.hpp>
#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/io.hpp>

#include "common/base/file.h"

namespace graft::server::supervisor {
namespace {

namespace bp = boost::process;

/// A worker that writes without line breaks must not fill the server's memory.
constexpr size_t kMaxLine = 16 * 1024;

constexpr std::chrono::seconds kPatience{1};

struct ChildSetup : bp::extend::handler {
  template <typename Executor>
  void on_exec_setup(Executor&) const {
    ::setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    // Not bp::limit_handles: it allocates between fork and exec, where another thread may have held
    // the heap's lock.
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  }
};

}  // namespace

std::string WorkerExit::ToString() const {
  if (signal != 0) return "was killed by signal " + std::to_string(signal);
  return "ended with exit code " + std::to_string(exit_code);
}

struct ProcessLauncher::Process {
  explicit Process(boost::asio::io_context& io) : output(io), patience(io) {}
  /// Tells its end: once all that it printed was read, or soon if another process holds its output.
  void Tell() {
    patience.cancel();
    if (auto end = std::exchange(tell, nullptr)) end();
  }

  bp::async_pipe output;
  bool is_read = false;        ///< All of it.
  std::function<void()> tell;  ///< Set from its end on, until it is told.
  boost::asio::steady_timer patience;
  bp::child child;
  std::string buffer;
  OnLine on_line;
};

ProcessLauncher::~ProcessLauncher() {
  for (auto& [pid, process] : processes_) process->child.detach();
}

StatusOr<int> ProcessLauncher::Launch(const WorkerCommand& command, OnLine on_line,
                                      OnExit on_exit) {
  if (::access(command.binary.c_str(), X_OK) != 0) {
    return ErrnoToStatus(errno, "cannot run the worker program " + command.binary);
  }
  auto process = std::make_shared<Process>(io_);
  process->on_line = std::move(on_line);
  auto ended = [this, process, on_exit = std::move(on_exit)](int, const std::error_code&) {
    const int status = process->child.native_exit_code();
    processes_.erase(process->child.id());
    WorkerExit result;
    if (WIFSIGNALED(status)) {
      result.signal = WTERMSIG(status);
    } else {
      result.exit_code = WEXITSTATUS(status);
    }
    process->tell = [on_exit, result] { on_exit(result); };
    if (process->is_read) return process->Tell();
    process->patience.expires_after(kPatience);
    process->patience.async_wait([process](const boost::system::error_code& error) {
      if (!error) process->Tell();
    });
  };
  std::error_code error;
  process->child = bp::child(bp::exe = command.binary, bp::args = command.arguments,
                             bp::std_in<bp::null, (bp::std_out & bp::std_err)> process->output, io_,
                             bp::on_exit = std::move(ended), ChildSetup{}, error);
  if (error) return UnavailableError("cannot start " + command.binary + ": " + error.message());
  const int pid = process->child.id();
  processes_[pid] = process;
  ReadLines(process);
  return pid;
}

void ProcessLauncher::ReadLines(std::shared_ptr<Process> process) {
  Process& p = *process;
  boost::asio::async_read_until(
      p.output, boost::asio::dynamic_buffer(p.buffer, kMaxLine), '\n',
      [process = std::move(process)](const boost::system::error_code& error, size_t size) mutable {
        Process& self = *process;
        if (error == boost::asio::error::not_found) size = self.buffer.size();  // A very long line.
        if (error && error != boost::asio::error::not_found) {
          if (!self.buffer.empty()) self.on_line(std::exchange(self.buffer, {}));
          self.is_read = true;
          return self.Tell();
        }
        std::string line = self.buffer.substr(0, size);
        self.buffer.erase(0, size);
        while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
        self.on_line(std::move(line));
        ReadLines(std::move(process));
      });
}

void ProcessLauncher::Terminate(int handle) {
  if (processes_.contains(handle)) ::kill(handle, SIGTERM);
}

void ProcessLauncher::Kill(int handle) {
  if (processes_.contains(handle)) ::kill(handle, SIGKILL);
}

}  // namespace graft::server::supervisor
