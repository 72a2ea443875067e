# Precompiled headers, one per kind of translation unit. A target names its kind (default: plain) in graft_library,
# graft_executable or graft_test; a test's kind is that of what it tests. They only save time: sources include what they
# use, and build without (-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON).
#
#   plain     the C++ library and JSON
#   services  plain, gRPC, protobuf, Asio, logging
#   torch     plain and the engine's part of libtorch
#
# GCC's hold no instantiated template: what the headers' plain functions use is instantiated anew at the end of each file,
# needed or not (-ftime-report: "phase lang. deferred"). A header that brings much of that is better left to those who use it.
#
# GCC takes a precompiled header only where every option and macro that it depends on is the same, so those are set here.

# GCC collects its own garbage as soon as it holds 128 MB, which a precompiled header alone does: a tenth of the time.
add_compile_options("$<$<CXX_COMPILER_ID:GNU>:SHELL:--param ggc-min-heapsize=1048576>")

# All code ends in executables: one kind of position independence for libraries and programs.
add_compile_options(-fPIE -pthread)
add_link_options(-pie -pthread)

# Tests are compiled in their own way: optimising them costs more than it saves. What they test is compiled as it is shipped.
add_library(graft_test_options INTERFACE)
target_compile_options(graft_test_options INTERFACE $<$<NOT:$<CONFIG:Debug>>:-O1>)

add_library(graft_kind_plain INTERFACE)
add_library(graft_kind_services INTERFACE)
add_library(graft_kind_torch INTERFACE)
target_compile_definitions(graft_kind_services INTERFACE
  SPDLOG_COMPILED_LIB SPDLOG_SHARED_LIB SPDLOG_FMT_EXTERNAL FMT_SHARED BOOST_ASIO_SEPARATE_COMPILATION)

if(GRAFT_BUILD_SERVICES)
  add_library(graft_libraries STATIC ${PROJECT_SOURCE_DIR}/cmake/precompiled/libraries.cc)
  target_compile_definitions(graft_libraries PRIVATE BOOST_ASIO_SEPARATE_COMPILATION FMT_SHARED)
  target_include_directories(graft_libraries PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(graft_libraries PUBLIC fmt::fmt PRIVATE Boost::headers)
  target_link_libraries(graft_kind_services INTERFACE graft_libraries)
endif()

# graft_precompiled_header(services LIBS ...): makes the headers of a kind and of its tests.
function(graft_precompiled_header kind)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  set(names ${kind})
  if(GRAFT_BUILD_TESTS)
    list(APPEND names ${kind}_test)
  endif()
  foreach(name ${names})
    add_library(graft_pch_${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled/owner.cc)
    target_include_directories(graft_pch_${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(graft_pch_${name} PRIVATE graft_kind_${kind} nlohmann_json::nlohmann_json ${ARG_LIBS})
    if(name STREQUAL "${kind}_test")
      target_link_libraries(graft_pch_${name} PRIVATE GTest::gmock graft_test_options)
    endif()
    target_precompile_headers(graft_pch_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled/${name}.h)
  endforeach()
endfunction()

# graft_use_precompiled(target services [TEST])
function(graft_use_precompiled target kind)
  set(name ${kind})
  if("${ARGN}" STREQUAL "TEST")
    set(name ${kind}_test)
    target_link_libraries(${target} PRIVATE graft_test_options)
  endif()
  if(TARGET graft_pch_${name})
    target_precompile_headers(${target} REUSE_FROM graft_pch_${name})
  endif()
  target_link_libraries(${target} PRIVATE graft_kind_${kind})
endfunction()
