# One folder = one library = one target. These functions are all that the CMakeLists below need.
#
# Kinds: a folder says its own once, set(GRAFT_KIND services), and a target may say another.

add_library(graft_warnings INTERFACE)
target_compile_options(graft_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
                       $<$<BOOL:${GRAFT_WERROR}>:-Werror>)
# GCC finds these by following values through inlined code, and errs about the C++ library's own (GCC 12 in std::string + "text",
# GCC 13 in std::variant and std::vector); which it finds changes with every edit. Fortified copies and asan look for the real ones.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(graft_warnings INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
                         -Wno-stringop-overread -Wno-restrict)
endif()
target_include_directories(graft_warnings INTERFACE ${PROJECT_SOURCE_DIR})

# Leaves a KIND that was given, else takes the folder's, else plain.
macro(graft_default_kind variable)
  if(NOT ${variable})
    set(${variable} ${GRAFT_KIND})
  endif()
  if(NOT ${variable})
    set(${variable} plain)
  endif()
endmacro()

# graft_library(NAME base FILES a.cc b.cc [PUBLIC libs] [PRIVATE libs] [KIND services]): graft_base, alias graft::base.
# KIND: which precompiled header its files use (cmake/GraftPrecompiled.cmake).
function(graft_library)
  cmake_parse_arguments(ARG "" "NAME;KIND" "FILES;PUBLIC;PRIVATE" ${ARGN})
  graft_default_kind(ARG_KIND)
  add_library(graft_${ARG_NAME} STATIC ${ARG_FILES})
  add_library(graft::${ARG_NAME} ALIAS graft_${ARG_NAME})
  target_link_libraries(graft_${ARG_NAME} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} graft_warnings)
  target_include_directories(graft_${ARG_NAME} PUBLIC ${PROJECT_SOURCE_DIR})
  graft_use_precompiled(graft_${ARG_NAME} ${ARG_KIND})
endfunction()

# graft_executable(NAME graft-server FILES main.cc LIBS ... [KIND services])
function(graft_executable)
  cmake_parse_arguments(ARG "" "NAME;KIND" "FILES;LIBS" ${ARGN})
  graft_default_kind(ARG_KIND)
  add_executable(${ARG_NAME} ${ARG_FILES})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_LIBS} graft_warnings)
  graft_use_precompiled(${ARG_NAME} ${ARG_KIND})
endfunction()

# graft_test_library(NAME rpc_fixtures FILES server_fixture.cc LIBS graft::rpc [KIND services]): what several tests share.
function(graft_test_library)
  cmake_parse_arguments(ARG "" "NAME;KIND" "FILES;LIBS" ${ARGN})
  graft_default_kind(ARG_KIND)
  add_library(${ARG_NAME} STATIC ${ARG_FILES})
  target_link_libraries(${ARG_NAME} PUBLIC ${ARG_LIBS} GTest::gmock PRIVATE graft_warnings)
  graft_use_precompiled(${ARG_NAME} ${ARG_KIND} TEST)
endfunction()

# graft_test(NAME sha256_test FILES sha256_test.cc LIBS graft::base [LABELS unit] [TIMEOUT s] [ENV "A=b"]
# [FIXTURES name] [KIND services] [PREFIX Other.]): one executable whose gtest cases are ctest cases, whose names begin with
# the prefix. LABELS default to unit.
function(graft_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT;KIND;PREFIX" "FILES;LIBS;LABELS;ENV;FIXTURES" ${ARGN})
  graft_default_kind(ARG_KIND)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${ARG_NAME} ${ARG_FILES})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest_main graft_warnings)
  graft_use_precompiled(${ARG_NAME} ${ARG_KIND} TEST)
  # An empty value would take the next property's name for its own.
  set(properties LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if(ARG_ENV)
    list(APPEND properties ENVIRONMENT "${ARG_ENV}")
  endif()
  if(ARG_FIXTURES)
    list(APPEND properties FIXTURES_REQUIRED "${ARG_FIXTURES}")
  endif()
  gtest_discover_tests(${ARG_NAME} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${ARG_PREFIX}" PROPERTIES ${properties})
endfunction()
