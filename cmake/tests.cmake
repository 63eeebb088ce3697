# Tests are found by folder, which is the ctest label and the start of the name ("unit/test_crc").
#   unit/test_*.c       one Criterion executable each
#   thread/*.c sim/*.c  plain programs: exit 0 passed, 1 failed, 77 skipped
#   prop/*.c            programs that the scripts of prop/ run; not tests by themselves
#   fuzz/fuzz_*.c       libFuzzer targets, in the fuzz preset only
#   lint|e2e|crash|prop/*.py|*.sh   scripts; helpers begin with _ or live in a folder below
# Scripts find VENTURI_BUILD (binary directory) and VENTURI_SRC (source directory) set.

enable_testing()
find_package(Python3 REQUIRED COMPONENTS Interpreter)

file(GLOB_RECURSE support_sources CONFIGURE_DEPENDS tests/support/*.c)
venturi_library(vt_test_support FOLDER tests/support SOURCES ${support_sources}
                LIBRARIES vt_client vt_net vt_engine vt_storage)

# One job a program: with more, Criterion 2.4 itself leaks 48 bytes for a test that runs long.
set(test_environment
    CRITERION_JOBS=1
    VENTURI_BUILD=${CMAKE_BINARY_DIR}
    VENTURI_SRC=${CMAKE_SOURCE_DIR}
    ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1
    UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=second_deadlock_stack=1)

set(sanitizer_output "ERROR: [A-Za-z]+Sanitizer" "WARNING: ThreadSanitizer" "runtime error:")

function(venturi_test_properties test label seconds)
  # Criterion exits 0 although LeakSanitizer printed a leak, so the output decides as well.
  set_tests_properties(
    ${test} PROPERTIES LABELS ${label} TIMEOUT ${seconds} SKIP_RETURN_CODE 77
                       ENVIRONMENT "${test_environment}"
                       FAIL_REGULAR_EXPRESSION "${sanitizer_output}")
endfunction()

# venturi_test_program(source): an executable that may include headers of every floor.
function(venturi_test_program source)
  cmake_path(GET source STEM name)
  cmake_path(GET source PARENT_PATH folder)
  cmake_path(GET folder FILENAME label)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                           ${CMAKE_BINARY_DIR}/tests/${label})
  foreach(path tests/${label} tests/support storage engine net net/client tools/common)
    target_compile_options(${name} PRIVATE "SHELL:-iquote ${CMAKE_SOURCE_DIR}/${path}")
  endforeach()
  target_link_libraries(${name} PRIVATE vt_test_support vt_tools)
endfunction()

if(VENTURI_FUZZ)
  file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
  foreach(source ${fuzz_sources})
    cmake_path(GET source STEM name)
    venturi_test_program(${source})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endforeach()
  return()
endif()

pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
file(GLOB unit_sources CONFIGURE_DEPENDS tests/unit/test_*.c)
foreach(source ${unit_sources})
  cmake_path(GET source STEM name)
  venturi_test_program(${source})
  target_link_libraries(${name} PRIVATE PkgConfig::CRITERION)
  add_test(NAME unit/${name} COMMAND ${name})
  venturi_test_properties(unit/${name} unit 180)
endforeach()

foreach(label thread sim prop)
  file(GLOB sources CONFIGURE_DEPENDS tests/${label}/*.c)
  foreach(source ${sources})
    cmake_path(GET source STEM name)
    venturi_test_program(${source})
    if(NOT label STREQUAL "prop")
      add_test(NAME ${label}/${name} COMMAND ${name})
      venturi_test_properties(${label}/${name} ${label} 600)
    endif()
  endforeach()
endforeach()

foreach(label lint e2e crash prop)
  file(GLOB scripts CONFIGURE_DEPENDS tests/${label}/*.sh tests/${label}/*.py)
  foreach(script ${scripts})
    cmake_path(GET script STEM name)
    cmake_path(GET script EXTENSION kind)
    if(name MATCHES "^_")
      continue()
    endif()
    if(kind STREQUAL ".py")
      add_test(NAME ${label}/${name} COMMAND ${Python3_EXECUTABLE} ${script})
    else()
      add_test(NAME ${label}/${name} COMMAND bash ${script})
    endif()
    venturi_test_properties(${label}/${name} ${label} 900)
  endforeach()
endforeach()

add_custom_target(check COMMAND ctest --output-on-failure -j2 -L "unit|lint" USES_TERMINAL)
set(lint ${CMAKE_SOURCE_DIR}/tests/lint)
add_custom_target(format COMMAND ${Python3_EXECUTABLE} ${lint}/format.py --write USES_TERMINAL)
add_custom_target(tidy COMMAND ${CMAKE_COMMAND} -E env VENTURI_BUILD=${CMAKE_BINARY_DIR}
                               ${Python3_EXECUTABLE} ${lint}/tidy.py USES_TERMINAL)
add_custom_target(check-all COMMAND ${CMAKE_SOURCE_DIR}/tools/test.sh USES_TERMINAL)
