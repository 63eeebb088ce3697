# Compiler flags that every target shares.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
# -O3 where speed counts and never -DNDEBUG: VT_ASSERT is part of the program.
set(CMAKE_C_FLAGS_RELEASE "-O3")
set(CMAKE_C_FLAGS_DEBUG "-O1")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_C_COMPILER_LAUNCHER)
  # Worktrees of one repository share their cache entries.
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
                                CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()

add_compile_definitions(_GNU_SOURCE VENTURI_VERSION="${PROJECT_VERSION}")
if(VENTURI_VERIFY)
  add_compile_definitions(VENTURI_VERIFY)
endif()

# The oldest machine that a release runs on. Faster paths carry target attributes and are probed.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-march=x86-64-v2)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  add_compile_options(-march=armv8-a+crc)
endif()

# PIE and not PIC: calls inside a library stay direct and may be inlined.
add_compile_options(-fPIE)
add_link_options(-pie)

# Frame pointers everywhere: profiles and crash reports work on what was shipped.
add_compile_options(-g -fno-omit-frame-pointer -fno-common)
if(NOT CMAKE_C_FLAGS MATCHES "--coverage")
  # Paths in the binary are the repository's, whatever directory it was built in.
  add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
endif()

add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wcast-align
  -Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wundef -Wvla -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Wdouble-promotion
  -Wfloat-conversion -Wnull-dereference)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init)
else()
  add_compile_options(-Wshorten-64-to-32 -Wconditional-uninitialized -Wunreachable-code -Wcomma
                      -Wassign-enum -Wextra-semi-stmt)
endif()
if(VENTURI_WERROR)
  add_compile_options(-Werror)
endif()

if(VENTURI_SANITIZE)
  add_compile_options(-fsanitize=${VENTURI_SANITIZE} -fno-sanitize-recover=all
                      -fno-optimize-sibling-calls)
  add_link_options(-fsanitize=${VENTURI_SANITIZE})
endif()

if(VENTURI_HARDEN)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
                      -fstack-clash-protection)
  add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options(-fcf-protection=full)
  else()
    add_compile_options(-mbranch-protection=standard)
  endif()
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-ftrivial-auto-var-init=zero)
  endif()
endif()
