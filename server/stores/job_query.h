#pragma once
/// What a JobQuery means, for stores that answer it in code.

#include "server/core/store.h"

namespace graft::server::stores {

/// True if all conditions hold.
bool Matches(const core::Job& job, const core::JobQuery& query);

/// True if `a` comes before `b` in a list of that order.
bool ComesBefore(core::JobQuery::Order order, const core::Job& a, const core::Job& b);

}  // namespace graft::server::stores
