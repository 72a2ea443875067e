#include "server/rest/provenance.h"

namespace graft::server::rest {

Json ProvenanceJson(const graft::v1::Provenance& provenance) {
  return {{"adapter_version", provenance.adapter_version()},
          {"adapter_version_sha256", provenance.adapter_version_sha256()},
          {"base", provenance.base()},
          {"base_fingerprint", provenance.base_fingerprint()}};
}

}  // namespace graft::server::rest
