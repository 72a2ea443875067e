# Finds libtorch inside a torch wheel and defines the imported target Libtorch::libtorch.
#
# Own module rather than the wheel's TorchConfig.cmake because that one wants nvcc and a CUDA toolkit at configure
# time when the wheel is a CUDA build, and defines an empty protobuf target that breaks a later find_package(Protobuf).
# The wheel also ships headers of protobuf 3.13 and fmt 12: never let one file see both torch and a .pb.h.
#
# Hints: LIBTORCH_PYTHON (a Python that has torch), or LIBTORCH_ROOT (…/site-packages/torch).

# A libtorch that was set up anew may lie elsewhere (another Python): forget what was found before.
if(NOT EXISTS "${LIBTORCH_ROOT}/lib" OR NOT LIBTORCH_ROOT)
  foreach(_name ROOT CPU_LIBRARY C10_LIBRARY TORCH_LIBRARY CUDA_LIBRARY C10_CUDA_LIBRARY CUDA_INCLUDE_DIR
      CUDA_CRT_DIR CUDA_CCCL_DIR)
    unset(LIBTORCH_${_name} CACHE)
  endforeach()
  if(NOT EXISTS "${LIBTORCH_PYTHON}")
    unset(LIBTORCH_PYTHON CACHE)
  endif()
endif()

if(NOT LIBTORCH_ROOT)
  if(NOT LIBTORCH_PYTHON)
    set(_cache "$ENV{GRAFT_CACHE}")
    if(NOT _cache)
      set(_cache "$ENV{HOME}/.cache/graft")
    endif()
    find_program(LIBTORCH_PYTHON NAMES python3 HINTS ${_cache}/libtorch/bin NO_CMAKE_SYSTEM_PATH)
  endif()
  execute_process(COMMAND ${LIBTORCH_PYTHON} -c
    "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
    OUTPUT_VARIABLE LIBTORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(LIBTORCH_ROOT)
    set(LIBTORCH_ROOT "${LIBTORCH_ROOT}" CACHE PATH "Folder of the torch package")
  else()
    unset(LIBTORCH_PYTHON CACHE)   # The next configure, after a set-up, looks again.
  endif()
endif()

find_library(LIBTORCH_CPU_LIBRARY torch_cpu HINTS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_LIBRARY c10 HINTS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_TORCH_LIBRARY torch HINTS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_CUDA_LIBRARY torch_cuda HINTS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_CUDA_LIBRARY c10_cuda HINTS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libtorch
  REQUIRED_VARS LIBTORCH_ROOT LIBTORCH_CPU_LIBRARY LIBTORCH_C10_LIBRARY LIBTORCH_TORCH_LIBRARY
  REASON_FAILURE_MESSAGE "run ./scripts/setup.sh, or pass -DLIBTORCH_PYTHON=<python with torch>")

if(Libtorch_FOUND AND NOT TARGET Libtorch::libtorch)
  add_library(Libtorch::libtorch INTERFACE IMPORTED)
  target_include_directories(Libtorch::libtorch SYSTEM INTERFACE
    ${LIBTORCH_ROOT}/include ${LIBTORCH_ROOT}/include/torch/csrc/api/include)
  target_compile_definitions(Libtorch::libtorch INTERFACE AT_PER_OPERATOR_HEADERS)
  # at::parallel_for is inlined into the caller: without -fopenmp it silently runs serial.
  target_compile_options(Libtorch::libtorch INTERFACE -fopenmp)
  # Without --no-as-needed the linker drops torch_cuda, which nothing names, and CUDA "isn't available".
  # libstdc++ stands before torch: the wheel's libraries export parts of another one (std::filesystem's), which programs would
  # call instead; torch 2.11's end in a null pointer.
  set(_libs -Wl,--no-as-needed stdc++ ${LIBTORCH_TORCH_LIBRARY} ${LIBTORCH_CPU_LIBRARY} ${LIBTORCH_C10_LIBRARY})
  if(LIBTORCH_CUDA_LIBRARY)
    list(APPEND _libs ${LIBTORCH_CUDA_LIBRARY} ${LIBTORCH_C10_CUDA_LIBRARY})
    # torch's headers about devices include CUDA's. Those of a toolkit come first; pip's nvidia packages have them too.
    file(GLOB _cuda_includes ${LIBTORCH_ROOT}/../nvidia/*/include)
    find_path(LIBTORCH_CUDA_INCLUDE_DIR cuda_runtime_api.h
      HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda ${_cuda_includes}
      PATH_SUFFIXES include targets/x86_64-linux/include)
    set(_cuda_hints ${LIBTORCH_CUDA_INCLUDE_DIR} ${_cuda_includes})
    find_path(LIBTORCH_CUDA_CRT_DIR crt/host_defines.h HINTS ${_cuda_hints} NO_DEFAULT_PATH)
    find_path(LIBTORCH_CUDA_CCCL_DIR nv/target HINTS ${_cuda_hints} PATH_SUFFIXES cccl NO_DEFAULT_PATH)
    if(LIBTORCH_CUDA_INCLUDE_DIR AND LIBTORCH_CUDA_CRT_DIR AND LIBTORCH_CUDA_CCCL_DIR)
      set(_cuda_hints ${LIBTORCH_CUDA_INCLUDE_DIR} ${LIBTORCH_CUDA_CRT_DIR} ${LIBTORCH_CUDA_CCCL_DIR} ${_cuda_includes})
      list(REMOVE_DUPLICATES _cuda_hints)
      target_include_directories(Libtorch::libtorch SYSTEM INTERFACE ${_cuda_hints})
      target_compile_definitions(Libtorch::libtorch INTERFACE GRAFT_WITH_CUDA)
    else()
      message(STATUS "This libtorch can use CUDA, but not all of CUDA's headers are here: graft-worker will use the "
        "CPU only. Run ./scripts/setup.sh, or install a CUDA toolkit")
    endif()
  endif()
  # The wheel's own OpenMP runtime, which at::parallel_for's inlined regions call; a second one would start more threads.
  file(GLOB _gomp ${LIBTORCH_ROOT}/lib/libgomp*.so*)
  target_link_libraries(Libtorch::libtorch INTERFACE ${_libs} ${_gomp} -Wl,--as-needed)
  target_link_options(Libtorch::libtorch INTERFACE -Wl,-rpath,${LIBTORCH_ROOT}/lib)
endif()
