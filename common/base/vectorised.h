#pragma once
/// One build for every processor.

/// In front of a function with loops that vectorise: it is compiled for several instruction sets,
/// and the loader picks the widest that the processor runs. Elsewhere than on x86-64: nothing.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GRAFT_VECTORISED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GRAFT_VECTORISED
#endif
