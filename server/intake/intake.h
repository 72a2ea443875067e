#pragma once
/// Reads, checks and stores what a job trains on, before any device is taken. The same code serves
/// jobs, validate_only, EstimateJob, CheckDataset and EvaluateVersion.

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/ingest.h"
#include "common/objects/object_store.h"
#include "common/spec/job_spec.h"
#include "common/tokenizers/tokenizer.h"
#include "server/core/rows.h"
#include "server/intake/base_catalog.h"
#include "server/intake/dataset_source.h"
#include "server/intake/estimate.h"

namespace graft::server::intake {

/// A job's data, ready for a worker.
struct Prepared {
  std::string dataset_sha256;  ///< Of the ingested form.
  core::JobFacts facts;
  std::vector<std::string> warnings;
};

/// Thread safety: const methods only. Reads and computes for long: for the disk threads.
class Intake {
 public:
  Intake(BaseCatalog& bases, const DatasetSources& sources, objects::ObjectStore& objects)
      : bases_(bases), sources_(sources), objects_(objects) {}

  /// Ingests the job's data, counts what the run will take, and with `store` keeps the ingested
  /// form under its hash. Requires: `spec` is resolved.
  /// Errors: InvalidArgument with up to 20 faults of the data; as DatasetSources::Resolve and
  /// CheckFits; ResourceExhausted if the disk is full, Unavailable if the object store is away (try
  /// again).
  StatusOr<Prepared> Prepare(const std::string& tenant, const spec::JobSpec& spec,
                             const Machine& machine, bool store) const;

  /// Reports on the data, usable or not. Errors: of the request only.
  StatusOr<datasets::Report> Check(const std::string& tenant,
                                   const spec::DatasetSpec& dataset) const;

  /// Ingests data to evaluate a version with these labels on, stores it and returns its hash.
  StatusOr<std::string> PrepareEvaluation(const std::string& tenant,
                                          const spec::DatasetSpec& dataset,
                                          const std::vector<std::string>& label_names) const;

 private:
  StatusOr<std::string> StoreDataset(const std::string& tenant,
                                     const datasets::IngestedDataset& dataset) const;

  BaseCatalog& bases_;
  const DatasetSources& sources_;
  objects::ObjectStore& objects_;
};

/// Token counts of all examples; of an even sample, scaled, where the texts are many megabytes: an
/// estimate must not take as long as the job. The worker that trains counts each.
TokenCounts CountTokens(const datasets::IngestedDataset& dataset,
                        const tokenizers::Tokenizer& tokenizer, int max_length);

}  // namespace graft::server::intake
