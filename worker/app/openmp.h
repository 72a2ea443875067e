#pragma once
/// How OpenMP's threads wait for one another.

namespace graft::worker::app {

/// libgomp's threads spin for a while before they sleep, and on busy cores take them from those that
/// they wait for (docs/results/waiting.md). Has them sleep at once, unless OMP_WAIT_POLICY or
/// GOMP_SPINCOUNT says otherwise. libgomp reads its environment before main begins, so this starts
/// the program again in this process; it returns where nothing is to be changed, or can be.
/// `arguments`: main's.
void LetThreadsSleep(char** arguments);

}  // namespace graft::worker::app
