# tools/<name>/*.c is the executable <name>, tools/common/ is shared by them, and each
# bench/micro/*.c is a program of its own.

find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)

file(GLOB_RECURSE common_sources CONFIGURE_DEPENDS tools/common/*.c)
venturi_library(vt_tools FOLDER tools/common SOURCES ${common_sources}
                LIBRARIES vt_client vt_net vt_engine vt_storage)

function(venturi_program name folder)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.c)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_compile_options(${name} PRIVATE "SHELL:-iquote ${CMAKE_SOURCE_DIR}/${folder}")
  target_link_libraries(${name} PRIVATE vt_tools)
  if(NOT VENTURI_SANITIZE)
    # A sanitizer brings an allocator of its own.
    target_link_libraries(${name} PRIVATE ${JEMALLOC_LIBRARY})
  endif()
endfunction()

venturi_program(venturid tools/venturid)
venturi_program(venturi tools/venturi)

file(GLOB bench_sources CONFIGURE_DEPENDS bench/micro/*.c)
foreach(source ${bench_sources})
  cmake_path(GET source STEM name)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  foreach(path storage engine net)
    target_compile_options(${name} PRIVATE "SHELL:-iquote ${CMAKE_SOURCE_DIR}/${path}")
  endforeach()
  target_link_libraries(${name} PRIVATE vt_tools)
endforeach()
