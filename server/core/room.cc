#include "server/core/room.h"

#include <algorithm>

#include "common/base/bytes_text.h"
#include "common/base/json.h"

namespace graft::server::core {
namespace {

/// The precision that an earlier attempt ran in, else the spec's, else the worker's.
bool RunsInBf16(const Job& job, const WorkerMemory& memory) {
  if (!job.resolved_precision.empty()) return job.resolved_precision == "bf16";
  const StatusOr<Json> spec = ParseJson(job.spec_json, "the job's spec");
  if (!spec.ok() || !spec->is_object()) return memory.prefers_bf16;
  const auto hyperparameters = spec->find("hyperparameters");
  if (hyperparameters == spec->end() || !hyperparameters->is_object()) return memory.prefers_bf16;
  const auto precision = hyperparameters->find("precision");
  if (precision == hyperparameters->end()) return memory.prefers_bf16;
  return *precision == "BF16" || (*precision != "FP32" && memory.prefers_bf16);
}

const WorkerMemory::BaseInUse* FindBase(const Job& job, const WorkerMemory& memory) {
  const bool is_bf16 = RunsInBf16(job, memory);
  const auto found = std::ranges::find_if(memory.bases_in_use, [&](const auto& base) {
    return base.id == job.base && base.is_bf16 == is_bf16;
  });
  return found != memory.bases_in_use.end() ? &*found : nullptr;
}

int64_t NeedOf(const Job& job, const WorkerMemory& memory) {
  const WorkerMemory::BaseInUse* base = FindBase(job, memory);
  const int64_t there = base != nullptr ? base->bytes : 0;
  return std::max<int64_t>(job.facts.peak_memory_bytes - there, 0);
}

}  // namespace

Room RoomFor(const Job& job, const WorkerMemory& memory) {
  if (job.facts.peak_memory_bytes > memory.most_bytes) return Room::kNever;
  return NeedOf(job, memory) <= memory.free_bytes ? Room::kFits : Room::kLater;
}

void Take(const Job& job, WorkerMemory& memory) {
  memory.free_bytes -= NeedOf(job, memory);
  if (FindBase(job, memory) != nullptr) return;
  const bool is_bf16 = RunsInBf16(job, memory);
  memory.bases_in_use.push_back({job.base, is_bf16, job.facts.base_parameters * (is_bf16 ? 2 : 4)});
}

std::string WhyItWaits(const Job& job, const std::string& worker, const WorkerMemory& memory) {
  std::string why(kWaitsForMemory);
  why += "it needs about " + BytesText(job.facts.peak_memory_bytes) + ", and ";
  if (RoomFor(job, memory) == Room::kNever) {
    return why + "the largest worker can give a job " +
           BytesText(std::max(memory.most_bytes, memory.largest_elsewhere)) +
           "; cancel it, or start a larger worker";
  }
  return why + "of the " + BytesText(memory.most_bytes) + " that worker " + worker +
         " has for jobs " + BytesText(std::max<int64_t>(memory.free_bytes, 0)) +
         " are free; it runs when others have ended";
}

}  // namespace graft::server::core
