#pragma once
/// What the services stand on. Built once by server/app (or a test's fixture) and outlives every
/// call.

#include "common/objects/object_store.h"
#include "common/tracing/tracer.h"
#include "server/background/base_finder.h"
#include "server/background/changes.h"
#include "server/background/worker_hub.h"
#include "server/calls/probe.h"
#include "server/calls/runtime.h"
#include "server/core/store.h"
#include "server/intake/dataset_source.h"
#include "server/intake/intake.h"

namespace graft::server::background {

struct Limits {
  int64_t max_queued_jobs = 100'000;
  int64_t max_upload_bytes = int64_t{8} << 30;
  /// Of all imports under way together; their files are checked in memory.
  int64_t max_import_bytes = int64_t{2} << 30;
  std::chrono::milliseconds lease{10'000};
  std::chrono::milliseconds stall{900'000};
  /// How often to look for changes that another server on the same store made.
  std::chrono::milliseconds poll{1'000};
};

struct Backend {
  calls::Runtime& runtime;
  calls::Probe& probe;
  core::Store& store;
  objects::ObjectStore& objects;
  JobChanges& changes;
  WorkerHub& workers;
  BaseFinder& bases;
  const intake::DatasetSources& sources;
  const intake::Intake& intake;
  Limits limits;
  tracing::Tracer tracer = {};
};

}  // namespace graft::server::background
