# What makes a fault in memory harder to use, in every build. The programs listen on sockets and read files that strangers
# made. tests/structure/binaries_test.py reads the binaries for it.
include(CheckCXXCompilerFlag)

check_cxx_compiler_flag(-fcf-protection GRAFT_HAS_CF_PROTECTION)   # x86's indirect-branch tracking and shadow stacks.
check_cxx_compiler_flag(-fstack-clash-protection GRAFT_HAS_STACK_CLASH)
add_compile_options(-fstack-protector-strong
  $<$<BOOL:${GRAFT_HAS_STACK_CLASH}>:-fstack-clash-protection> $<$<BOOL:${GRAFT_HAS_CF_PROTECTION}>:-fcf-protection>)
# Checks the C library's copies; wants an optimised build, and sanitizers (Debug) do better themselves. Some compilers
# come with a lower level built in, hence -U.
add_compile_options($<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
add_link_options(-Wl,-z,relro,-z,now)

# Bounds of the C++ library's containers: in tests, not as shipped.
add_compile_definitions($<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>)
