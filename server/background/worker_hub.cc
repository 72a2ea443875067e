#include "server/background/worker_hub.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <boost/asio/experimental/as_tuple.hpp>

#include "common/base/ids.h"
#include "common/logging/log.h"

namespace graft::server::background {
namespace {

/// Most that a job could get there, its base included.
int64_t JobBytes(const graft::internal::v1::RegisterRequest& worker) {
  return worker.job_bytes() > 0 ? worker.job_bytes() : worker.memory_bytes();
}

TimeUs ToUs(std::chrono::milliseconds duration) { return duration.count() * 1000; }

}  // namespace

WorkerHub::Outstanding::Outstanding(WorkerHub& hub, std::string worker_id, std::string sha256)
    : hub_(hub), worker_id_(std::move(worker_id)), sha256_(std::move(sha256)) {
  hub_.table_.Began(worker_id_);
  hub_.probe_.InferenceRunning(1);
}

WorkerHub::Outstanding::~Outstanding() {
  hub_.table_.Ended(worker_id_, sha256_, ok_);
  hub_.probe_.InferenceRunning(-1);
}

WorkerHub::WorkerHub(calls::Runtime& runtime, calls::Probe& probe, Options options)
    : runtime_(runtime), probe_(probe), options_(options), table_(ToUs(options.silent_after)) {}

void WorkerHub::Register(const graft::internal::v1::RegisterRequest& request) {
  const std::string& id = request.worker_id();
  const auto known = registrations_.find(id);
  if (known == registrations_.end() || known->second.engine_address() != request.engine_address()) {
    links_[id] = std::make_shared<EngineLink>(runtime_, id, request.engine_address());
    logging::Info({.worker = id}, "worker {} registered: {} ({}), {:.1f} GiB, engine at {}", id,
                  request.device(), request.device_name(),
                  static_cast<double>(request.memory_bytes()) / (1 << 30),
                  request.engine_address());
  }
  registrations_[id] = request;
  draining_[id] = false;
  memory_.erase(id);  // Of a process that may be another one.
  walks_.erase(id);
  std::vector<std::string> bases(request.bases().begin(), request.bases().end());
  std::sort(bases.begin(), bases.end());
  table_.Put({id, std::move(bases), {}, false}, SystemClock().Now());
  Changed();
}

bool WorkerHub::Touch(const std::string& worker_id) {
  return table_.Touch(worker_id, SystemClock().Now());
}

void WorkerHub::SetBases(const std::string& worker_id, std::vector<std::string> bases) {
  std::sort(bases.begin(), bases.end());
  if (!Knows(worker_id) || !table_.SetBases(worker_id, bases)) return;
  auto& told = *registrations_.at(worker_id).mutable_bases();
  told.Assign(bases.begin(), bases.end());
  logging::Info({.worker = worker_id}, "worker {} has the bases {} now", worker_id,
                fmt::join(bases, ", "));
  Changed();
}

std::optional<core::WorkerMemory> WorkerHub::MemoryOf(const std::string& worker_id) const {
  const auto told = memory_.find(worker_id);
  const auto worker = registrations_.find(worker_id);
  if (told == memory_.end() || worker == registrations_.end()) return std::nullopt;
  core::WorkerMemory memory{.free_bytes = told->second.free_bytes(),
                            .most_bytes = JobBytes(worker->second),
                            .bases_in_use = {},
                            .prefers_bf16 = worker->second.fast_bf16()};
  for (const auto& base : told->second.bases_in_use())
    memory.bases_in_use.push_back({base.id(), base.bf16(), base.bytes()});
  return memory;
}

std::vector<core::WorkerPlace> WorkerHub::Places() const {
  std::vector<core::WorkerPlace> places;
  for (const auto& [id, worker] : registrations_) {
    places.push_back({.worker = id,
                      .bases = {worker.bases().begin(), worker.bases().end()},
                      .most_bytes = JobBytes(worker),
                      .prefers_bf16 = worker.fast_bf16(),
                      .is_draining = draining_.at(id)});
  }
  return places;
}

std::map<std::string, WorkerHub::Known> WorkerHub::All() const {
  std::map<std::string, Known> all;
  for (const auto& [id, worker] : registrations_) {
    Known& known = all[id];
    known.registered = worker;
    if (const auto told = memory_.find(id); told != memory_.end()) known.memory = told->second;
    known.resident = table_.ResidentOf(id);
    known.is_draining = draining_.at(id);
    known.outstanding = table_.OutstandingOf(id);
  }
  return all;
}

void WorkerHub::SetMemory(const std::string& worker_id,
                          const graft::internal::v1::JobMemory& memory) {
  if (!Knows(worker_id)) return;
  const auto known = memory_.find(worker_id);
  const bool is_late =
      known != memory_.end() && memory.number() > 0 && memory.number() <= known->second.number();
  if (!is_late) memory_[worker_id] = memory;
}

std::optional<core::QueueWalk> WorkerHub::WalkOf(const std::string& worker_id) const {
  const auto walk = walks_.find(worker_id);
  return walk != walks_.end() ? std::optional(walk->second) : std::nullopt;
}

void WorkerHub::SetWalk(const std::string& worker_id, std::optional<core::QueueWalk> walk) {
  walks_.erase(worker_id);
  if (walk && Knows(worker_id)) walks_.emplace(worker_id, *std::move(walk));
}

void WorkerHub::Update(const graft::internal::v1::RenewLeasesRequest& request) {
  std::vector<std::string> resident;
  for (const auto& base : request.resident()) resident.push_back(base.id());
  std::sort(resident.begin(), resident.end());
  table_.SetResident(request.worker_id(), std::move(resident), request.draining());
  draining_[request.worker_id()] = request.draining();
  if (request.has_memory()) SetMemory(request.worker_id(), request.memory());
  if (request.has_bases()) {
    SetBases(request.worker_id(), {request.bases().ids().begin(), request.bases().ids().end()});
  }
  Changed();
}

void WorkerHub::Remove(const std::string& worker_id) {
  if (!Knows(worker_id)) return;
  table_.Remove(worker_id);
  links_.erase(worker_id);
  registrations_.erase(worker_id);
  memory_.erase(worker_id);
  walks_.erase(worker_id);
  draining_.erase(worker_id);
  Changed();
}

void WorkerHub::RemoveSilent() {
  for (const std::string& id : table_.RemoveSilent(SystemClock().Now())) {
    logging::Warn({.worker = id}, "worker {} has been silent for {} s and is taken for dead", id,
                  options_.silent_after.count() / 1000);
    Remove(id);
  }
}

void WorkerHub::NoteLoaded(const std::string& worker_id, const std::string& sha256) {
  table_.Began(worker_id);
  table_.Ended(worker_id, sha256, true);
}

std::vector<intake::Machine> WorkerHub::MachinesFor(const std::string& base,
                                                    spec::Precision precision) const {
  std::vector<core::WorkerPlace> places = Places();
  std::erase_if(places, [&](const auto& place) {
    return std::ranges::find(place.bases, base) == place.bases.end();
  });
  std::ranges::stable_sort(places, {}, [](const auto& place) {
    return std::pair(place.is_draining, -place.most_bytes);
  });
  std::vector<intake::Machine> machines;
  for (const core::WorkerPlace& place : places) {
    const auto& worker = registrations_.at(place.worker);
    const bool bf16 = precision == spec::Precision::kBf16 ||
                      (precision == spec::Precision::kAuto && place.prefers_bf16);
    machines.push_back({.memory_bytes = place.most_bytes,
                        .gflops = bf16 ? worker.bf16_gflops() : worker.fp32_gflops(),
                        .bf16 = bf16,
                        .widens = bf16 && !worker.fast_bf16() && worker.device() == "cpu",
                        .rounds = bf16 && worker.rounds_sums()});
  }
  return machines;
}

Status WorkerHub::NoWorkerFor(const std::string& base) const {
  if (links_.empty()) {
    return UnavailableError(expecting_ ? "no worker is ready yet; try again in a moment"
                                       : "no worker has registered with this server");
  }
  if (table_.NumThatHave(base) > 0) {
    return UnavailableError(
        fmt::format("no worker that has the base {} can take this now: they drain or went away "
                    "({}); try again",
                    base, Present()));
  }
  return UnavailableError(
      fmt::format("no worker has the base {} in its folder ({})", base, Present()));
}

std::string WorkerHub::Present() const {
  std::set<std::string> bases;
  for (const auto& [id, worker] : registrations_)
    bases.insert(worker.bases().begin(), worker.bases().end());
  return fmt::format("workers: {} up, bases: {}", links_.size(),
                     bases.empty() ? "none" : fmt::format("{}", fmt::join(bases, ", ")));
}

std::string WorkerHub::WaitsFor(const std::string& base) const {
  return fmt::format("a worker that has the base {}; {}", base, Present());
}

calls::Awaitable<StatusOr<std::vector<std::shared_ptr<EngineLink>>>> WorkerHub::ServingLinks(
    const calls::CallContext& context, std::string base) {
  std::vector<std::shared_ptr<EngineLink>> links;
  for (const std::string& id : table_.Holders(base)) {
    if (const auto found = links_.find(id); found != links_.end()) links.push_back(found->second);
  }
  if (!links.empty()) co_return links;
  GRAFT_CO_ASSIGN_OR_RETURN(auto able, co_await Pick(context, base, "", {}));
  links.push_back(std::move(able));
  co_return links;
}

calls::Awaitable<StatusOr<std::shared_ptr<EngineLink>>> WorkerHub::Pick(
    const calls::CallContext& context, std::string base, std::string sha256,
    const std::set<std::string>& tried) {
  const auto give_up = std::chrono::steady_clock::now() + options_.wait_for_worker;
  struct Counted {
    explicit Counted(calls::Probe& p) : probe(p) { probe.InferenceWaiting(1); }
    ~Counted() { probe.InferenceWaiting(-1); }
    calls::Probe& probe;
  } const counted(probe_);
  bool asked = options_.check_base == nullptr;
  bool waits = false;
  while (true) {
    if (const auto id = table_.Pick(base, sha256, tried); id && links_.contains(*id))
      co_return links_.at(*id);
    if (!std::exchange(waits, true)) context.span.AddEvent("waits for a worker");
    context.waiting_for = WaitsFor(base);
    if (!std::exchange(asked, true)) {
      // Named: GCC 12 destroys what is made inside a co_await twice.
      calls::Awaitable<Status> check = options_.check_base(base);
      const Status there = co_await std::move(check);
      if (!there.ok()) {
        probe_.InferenceRejected("no_worker");
        co_return Status(there).AddDetail({"BASE_GONE", {}, 0, {}, {}});
      }
      continue;
    }
    const bool hopeless = !expecting_ && tried.empty();
    if (hopeless || std::chrono::steady_clock::now() >= give_up ||
        context.TimeLeft().count() <= 0) {
      probe_.InferenceRejected("no_worker");
      co_return NoWorkerFor(base);
    }
    co_await AwaitChange(give_up);
  }
}

calls::Awaitable<void> WorkerHub::AwaitFirst() {
  const auto give_up = std::chrono::steady_clock::now() + options_.wait_for_worker;
  while (expecting_ && links_.empty() && std::chrono::steady_clock::now() < give_up)
    co_await AwaitChange(give_up);
}

calls::Awaitable<void> WorkerHub::AwaitChange(std::chrono::steady_clock::time_point give_up) {
  struct Waiting {
    Waiting(WorkerHub& h, std::chrono::steady_clock::time_point until)
        : hub(h), timer(h.runtime_.io(), until) {
      hub.waiting_.insert(&timer);
    }
    ~Waiting() { hub.waiting_.erase(&timer); }
    WorkerHub& hub;
    boost::asio::steady_timer timer;
  } waiting(*this, give_up);
  co_await waiting.timer.async_wait(
      boost::asio::experimental::as_tuple(boost::asio::use_awaitable));
  // A cancelled call throws here rather than going round once more.
  co_await boost::asio::post(runtime_.io(), boost::asio::use_awaitable);
}

void WorkerHub::Wake() {
  for (boost::asio::steady_timer* timer : waiting_) timer->cancel();
  waiting_.clear();
}

void WorkerHub::Changed() {
  Wake();
  int draining = 0;
  for (const auto& [id, is_draining] : draining_) draining += is_draining ? 1 : 0;
  probe_.SetWorkers("ready", static_cast<int>(draining_.size()) - draining);
  probe_.SetWorkers("draining", draining);
  std::set<std::string> bases;
  for (const auto& [id, worker] : registrations_)
    bases.insert(worker.bases().begin(), worker.bases().end());
  bases.insert(reported_bases_.begin(), reported_bases_.end());
  for (const std::string& base : bases) {
    probe_.SetBaseResident(base, static_cast<int>(table_.Holders(base).size()));
  }
  reported_bases_ = std::move(bases);
}

}  // namespace graft::server::background
