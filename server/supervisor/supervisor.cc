#include "server/supervisor/supervisor.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "common/base/ids.h"
#include "common/logging/log.h"

namespace graft::server::supervisor {

using std::chrono::steady_clock;

namespace {

constexpr int kSettingsRefused = 2;  // graft-worker's exit code.

}  // namespace

struct Supervisor::Slot {
  Slot(Place p, RestartPolicy::Options restart, boost::asio::io_context& io)
      : place(std::move(p)), policy(restart), timer(io) {}
  const Place place;
  RestartPolicy policy;
  boost::asio::steady_timer timer;
  std::string worker_id;
  int handle = 0;  ///< 0: no process.
  steady_clock::time_point started;
  std::string first_line;  ///< That it printed.
  bool has_run = false;    ///< One of them took its settings.
};

std::string NewWorkerId(const std::string& device) {
  std::string id = device;
  std::replace(id.begin(), id.end(), ':', '-');
  // The random part of an id; the time in front of it would only make logs wider.
  return id + "-" + NewId(SystemClock().Now()).substr(18);
}

Supervisor::Supervisor(boost::asio::io_context& io, WorkerLauncher& launcher, Options options,
                       OnLost on_lost, OnRefused on_refused)
    : io_(io),
      launcher_(launcher),
      options_(std::move(options)),
      on_lost_(std::move(on_lost)),
      on_refused_(std::move(on_refused)),
      drain_timer_(io) {
  for (const Place& place : options_.places) {
    slots_.push_back(std::make_unique<Slot>(place, options_.restart, io_));
  }
}

Supervisor::~Supervisor() = default;

void Supervisor::Start() {
  for (auto& slot : slots_) Launch(*slot);
}

int Supervisor::num_running() const {
  return static_cast<int>(
      std::count_if(slots_.begin(), slots_.end(), [](const auto& s) { return s->handle != 0; }));
}

void Supervisor::Launch(Slot& slot) {
  slot.worker_id = NewWorkerId(slot.place.device);
  slot.started = steady_clock::now();
  slot.first_line.clear();
  WorkerCommand command{options_.binary, options_.arguments, slot.worker_id};
  command.arguments.insert(command.arguments.end(), slot.place.arguments.begin(),
                           slot.place.arguments.end());
  if (slot.place.arguments_at_start) {
    const std::vector<std::string> more = slot.place.arguments_at_start();
    command.arguments.insert(command.arguments.end(), more.begin(), more.end());
  }
  command.arguments.insert(command.arguments.end(),
                           {"--device", slot.place.device, "--worker-id", slot.worker_id});
  auto handle = launcher_.Launch(
      command,
      [&slot, id = slot.worker_id](const std::string& line) {
        if (slot.first_line.empty()) slot.first_line = line;
        logging::Relay(id, line);
      },
      [this, &slot](WorkerExit exit) { Exited(slot, exit); });
  if (!handle.ok()) return Ended(slot, handle.status().ToString());
  slot.handle = *handle;
  logging::Info({.worker = slot.worker_id}, "worker {} started on {} (pid {})", slot.worker_id,
                slot.place.device, slot.handle);
}

void Supervisor::Exited(Slot& slot, const WorkerExit& exit) {
  slot.handle = 0;
  const bool is_refusal = exit.exit_code == kSettingsRefused;
  slot.has_run |= !is_refusal;
  if (slot.has_run || stopping_) return Ended(slot, exit.ToString());
  on_lost_(slot.worker_id);
  on_refused_(slot.first_line.empty() ? exit.ToString() : slot.first_line);
}

void Supervisor::Ended(Slot& slot, const std::string& how) {
  on_lost_(slot.worker_id);
  if (stopping_) {
    logging::Info({.worker = slot.worker_id}, "worker {} {}", slot.worker_id, how);
    return CheckStopped();
  }
  const auto ran =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - slot.started);
  const auto wait = slot.policy.OnExit(ran);
  logging::Warn({.worker = slot.worker_id},
                "worker {} {} after {:.1f} s; it starts again in {:.1f} s", slot.worker_id, how,
                static_cast<double>(ran.count()) / 1e3, static_cast<double>(wait.count()) / 1e3);
  slot.timer.expires_after(wait);
  slot.timer.async_wait([this, &slot](const boost::system::error_code& error) {
    if (!error && !stopping_) Launch(slot);
  });
}

void Supervisor::Stop(std::function<void()> done) {
  stopping_ = true;
  stopped_ = std::move(done);
  for (auto& slot : slots_) {
    slot->timer.cancel();
    if (slot->handle != 0) launcher_.Terminate(slot->handle);
  }
  drain_timer_.expires_after(options_.drain);
  drain_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || num_running() == 0) return;
    spdlog::warn(
        "{} workers did not stop in time and are killed; their jobs go on from the last checkpoint",
        num_running());
    KillAll();
  });
  CheckStopped();
}

void Supervisor::KillAll() {
  for (auto& slot : slots_) {
    if (slot->handle != 0) launcher_.Kill(slot->handle);
  }
}

void Supervisor::CheckStopped() {
  if (num_running() != 0 || !stopped_) return;
  drain_timer_.cancel();
  std::exchange(stopped_, nullptr)();
}

}  // namespace graft::server::supervisor
