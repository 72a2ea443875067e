#pragma once
/// What computed an answer, as every answer of graft says it under "graft".

#include "common/base/json.h"
#include "graft/v1/inference.pb.h"

namespace graft::server::rest {

/// Also what is empty: a base has no adapter_version.
Json ProvenanceJson(const graft::v1::Provenance& provenance);

}  // namespace graft::server::rest
