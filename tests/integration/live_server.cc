#include "tests/integration/live_server.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "common/base/file.h"
#include "common/base/json.h"

namespace graft::testing {
namespace {

constexpr std::chrono::seconds kPatience{60};

}  // namespace

StatusOr<std::unique_ptr<LiveServer>> LiveServer::Start(const std::filesystem::path& programs,
                                                        const std::filesystem::path& bases,
                                                        const std::filesystem::path& folder,
                                                        const std::vector<std::string>& options) {
  std::vector<std::string> words = {(programs / "graft-server").string(),
                                    "--data=" + (folder / "data").string(),
                                    "--bases=" + bases.string(),
                                    "--listen=127.0.0.1:0",
                                    "--http=127.0.0.1:0",
                                    "--metrics=127.0.0.1:0"};
  words.insert(words.end(), options.begin(), options.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 1, (folder / "server.log").c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&files, 1, 2);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, arguments[0], &files, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return ErrnoToStatus(error, "start " + words[0]);

  std::unique_ptr<LiveServer> server(new LiveServer(pid, folder));
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < give_up) {
    const auto text = ReadFile(folder / "data" / "ports.json", 1 << 16);
    if (text.ok()) {
      const auto ports = ParseJson(*text, "ports.json");
      if (ports.ok() && ports->value("pid", 0) == pid) {
        server->address_ = "127.0.0.1:" + std::to_string((*ports)["grpc"].get<int>());
        return server;
      }
    }
    if (::waitpid(pid, nullptr, WNOHANG) == pid) {
      server->pid_ = 0;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const std::string log = server->Log();
  return UnavailableError("graft-server did not start: " +
                          log.substr(log.size() - std::min<size_t>(log.size(), 2000)));
}

LiveServer::~LiveServer() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

std::unique_ptr<client::Client> LiveServer::Connect(int max_attempts) const {
  client::ClientOptions options;
  options.server = address_;
  options.max_attempts = max_attempts;
  options.timeout = kPatience;
  auto client = client::Client::Create(options);
  return client.ok() ? std::move(*client) : nullptr;
}

std::string LiveServer::Log() const {
  const auto text = ReadFile(folder_ / "server.log", 64 << 20);
  return text.ok() ? *text : text.status().ToString();
}

}  // namespace graft::testing
