#include "bench/service/measures.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace graft::bench {

double Milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

Quantiles Print(const char* what, std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double q) {
    return ms[static_cast<size_t>(q * static_cast<double>(ms.size() - 1) + 0.5)];
  };
  const Quantiles quantiles{at(0.5), at(0.99), ms.back()};
  std::printf("%-48s p50 %8.2f   p99 %8.2f   max %8.2f ms   n %zu\n", what, quantiles.p50,
              quantiles.p99, quantiles.max, ms.size());
  std::fflush(stdout);
  return quantiles;
}

bool Claim(bool holds, const char* format, double figure, double bound) {
  std::printf("  claim: ");
  std::printf(format, figure, bound);
  std::printf(": %s\n", holds ? "holds" : "DOES NOT HOLD");
  return holds;
}

double Fsync(const std::filesystem::path& folder) {
  const int file =
      ::open((folder / "fsync-probe").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  const std::string block(4096, 'x');
  const double ms = Milliseconds([&] {
    if (::write(file, block.data(), block.size()) < 0 || ::fsync(file) != 0) {
      std::fprintf(stderr, "service_bench: fsync failed\n");
      std::exit(2);
    }
  });
  ::close(file);
  return ms;
}

double ResidentMiB(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

double Metric(int port, const std::string& sample) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string page;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if (::write(fd, request.data(), request.size()) > 0) {
      char buffer[65536];
      for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof(buffer))) > 0;)
        page.append(buffer, static_cast<size_t>(n));
    }
  }
  ::close(fd);
  const size_t at = page.find("\n" + sample + " ");
  return at == std::string::npos ? 0 : std::strtod(page.c_str() + at + sample.size() + 2, nullptr);
}

}  // namespace graft::bench
